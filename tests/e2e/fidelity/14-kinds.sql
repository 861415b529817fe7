-- Geometry of every kind, INET6; what newer servers have is in files of its own.
CREATE DATABASE kinds;
USE kinds;
CREATE TABLE geometries (id INT PRIMARY KEY, g GEOMETRY, p POINT,
    l LINESTRING, y POLYGON, mp MULTIPOINT, ml MULTILINESTRING,
    my MULTIPOLYGON, c GEOMETRYCOLLECTION, r POINT REF_SYSTEM_ID = 4326);
INSERT INTO geometries VALUES (1, ST_GeomFromText('POINT(1.1 -2.2)', 4326),
    POINT(1e308, -1e-308), ST_GeomFromText('LINESTRING(0 0,1 1,2 0.1)'),
    ST_GeomFromText('POLYGON((0 0,10 0,10 10,0 10,0 0),(5 5,7 5,7 7,5 7,5 5))'),
    ST_GeomFromText('MULTIPOINT(1 1,2 2)'),
    ST_GeomFromText('MULTILINESTRING((0 0,1 1),(2 2,3 3))'),
    ST_GeomFromText('MULTIPOLYGON(((0 0,1 0,1 1,0 0)),((5 5,6 5,6 6,5 5)))'),
    ST_GeomFromText('GEOMETRYCOLLECTION(POINT(1 1),LINESTRING(0 0,1 1))'),
    ST_GeomFromText('POINT(8.5 47.4)', 4326)),
    (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (3, ST_GeomFromText('GEOMETRYCOLLECTION EMPTY'), POINT(-0e0, 0.1), NULL, NULL,
    NULL, NULL, NULL, ST_GeomFromText('GEOMETRYCOLLECTION EMPTY'), NULL);
CREATE TABLE places (id INT PRIMARY KEY, g GEOMETRY NOT NULL, SPATIAL KEY (g));
INSERT INTO places SELECT seq, POINT(seq MOD 10, seq DIV 10) FROM seq_1_to_50;
CREATE TABLE addresses (id INT PRIMARY KEY, a INET6, b INET6 NOT NULL
    DEFAULT '::1', KEY (a));
INSERT INTO addresses VALUES (1, '::', DEFAULT), (2, 'fe80::1', '::ffff:1.2.3.4'),
    (3, 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '2001:db8::ff00:42:8329'),
    (4, NULL, '::');
