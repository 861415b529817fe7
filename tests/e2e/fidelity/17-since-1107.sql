-- VECTOR, since 11.7.  VEC_FromText() takes neither the largest numbers nor
-- denormal ones; as bytes they are taken.
USE kinds;
CREATE TABLE kinds.vectors (id INT PRIMARY KEY, v VECTOR(3) NOT NULL,
    w VECTOR(1) NULL, VECTOR INDEX (v) M=8 DISTANCE=cosine);
INSERT INTO kinds.vectors VALUES (1, VEC_FromText('[0.1,-0.2,3e9]'),
    x'01000000'), (2, VEC_FromText('[1,0,-1]'), NULL);
INSERT INTO kinds.vectors SELECT seq + 10, VEC_FromText(CONCAT('[', seq / 7, ',',
    SIN(seq), ',', -seq, ']')), NULL FROM seq_1_to_100;
