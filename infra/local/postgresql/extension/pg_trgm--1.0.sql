-- Prefect's migrations make trigram indexes, which only speed up searching by part of a name. The
-- PostgreSQL that Python's package index offers comes without that extension. This one has the same
-- name and operator class, so the migrations run; its indexes hold nothing and are never used for
-- a query, which reads the table instead. `void_in` is a built-in function that returns nothing.

CREATE FUNCTION gin_no_keys(text, internal, internal) RETURNS internal
  LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'void_in';

CREATE FUNCTION gin_no_query(text, internal, int2, internal, internal, internal, internal)
  RETURNS internal LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'void_in';

CREATE FUNCTION gin_no_match(internal, int2, text, int4, internal, internal, internal, internal)
  RETURNS boolean LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'void_in';

CREATE OPERATOR CLASS gin_trgm_ops FOR TYPE text USING gin AS
  FUNCTION 1 bttextcmp(text, text),
  FUNCTION 2 gin_no_keys(text, internal, internal),
  FUNCTION 3 gin_no_query(text, internal, int2, internal, internal, internal, internal),
  FUNCTION 4 gin_no_match(internal, int2, text, int4, internal, internal, internal, internal);
