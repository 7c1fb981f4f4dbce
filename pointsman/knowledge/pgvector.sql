-- The served index. Each statement is known by its name; `schema` holds several.

-- name: schema
CREATE EXTENSION IF NOT EXISTS vector;
CREATE TABLE IF NOT EXISTS pointsman_documents (
    collection text NOT NULL, source text NOT NULL, digest text NOT NULL, passages integer NOT NULL,
    added_at timestamptz NOT NULL, embedder text NOT NULL, PRIMARY KEY (collection, source)
);
CREATE TABLE IF NOT EXISTS pointsman_passages (
    id bigserial PRIMARY KEY, collection text NOT NULL, source text NOT NULL, passage text NOT NULL,
    heading text NOT NULL, text text NOT NULL, vector vector NOT NULL,
    words tsvector GENERATED ALWAYS AS (to_tsvector('simple', heading || ' ' || text)) STORED
);
CREATE INDEX IF NOT EXISTS pointsman_passages_of ON pointsman_passages (collection, source);
CREATE INDEX IF NOT EXISTS pointsman_passages_words ON pointsman_passages USING gin (words);

-- name: lock
-- Two that make the tables at the same moment wait for each other.
SELECT pg_advisory_xact_lock(7305116)

-- name: documents
SELECT collection, source, digest, passages, added_at FROM pointsman_documents
WHERE %(collection)s::text IS NULL OR collection = %(collection)s ORDER BY collection, source

-- name: embedder
SELECT embedder FROM pointsman_documents LIMIT 1

-- name: vectors
SELECT passage, vector::text FROM pointsman_passages WHERE collection = %(collection)s AND source = %(source)s

-- name: nearest
SELECT source, heading, text, passage, 1 - (vector <=> %(vector)s::vector) AS score FROM pointsman_passages
WHERE collection = %(collection)s ORDER BY vector <=> %(vector)s::vector, id LIMIT %(limit)s

-- name: matching
-- Not ts_rank_cd: how near words stand to each other says nothing where any one of them is enough.
SELECT source, heading, text, passage FROM pointsman_passages, websearch_to_tsquery('simple', %(query)s) AS asked
WHERE collection = %(collection)s AND words @@ asked ORDER BY ts_rank(words, asked, 1) DESC, id LIMIT %(limit)s

-- name: insert_passage
INSERT INTO pointsman_passages (collection, source, passage, heading, text, vector)
VALUES (%(collection)s, %(source)s, %(passage)s, %(heading)s, %(text)s, %(vector)s::vector)

-- name: insert_document
INSERT INTO pointsman_documents (collection, source, digest, passages, added_at, embedder)
VALUES (%(collection)s, %(source)s, %(digest)s, %(passages)s, %(added_at)s, %(embedder)s)

-- name: delete_passages
DELETE FROM pointsman_passages WHERE collection = %(collection)s AND source = %(source)s

-- name: delete_document
DELETE FROM pointsman_documents WHERE collection = %(collection)s AND source = %(source)s
