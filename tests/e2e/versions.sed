# tests/e2e/versions.sed -- what servers of different versions print in
# different ways, made one, so that the rest can be compared.  sed -E.

# The end of time of system versioning: 2106 from 11.5 on.
s/\t2106-02-07 06:28:15\.999999$/\t2038-01-19 03:14:07.999999/
s/323130362D30322D30372030363A32383A31352E393939393939/323033382D30312D31392030333A31343A30372E393939393939/g

# Quotes around accounts, from 10.6 on.
/^GRANT PROXY /s/'/`/g

# Quotes in names and in REQUIRE, which 10.5 and 11.8 print as they are.
/^(GRANT|CREATE USER) .*(PROXY|REQUIRE)/s/(['`])\1/\1/g

# The order of a column's attributes, from 11.5 on.
s/ INVISIBLE DEFAULT (('[^']*'|[^, ])*)/ DEFAULT \1 INVISIBLE/g
s/ INVISIBLE AUTO_INCREMENT/ AUTO_INCREMENT INVISIBLE/g

# Negative zero, up to 10.5.
s/\t2D30\t/\t30\t/g
s/\t2D30(\t|$)/\t30\1/g

# The name of utf8mb3 before 10.6, and quotes around a table's options.
s/\butf8\b/utf8mb3/g
s/\butf8_/utf8mb3_/g
s/`([A-Z_]+)`='([^']*)'/`\1`=\2/g
