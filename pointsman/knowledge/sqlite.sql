-- The embedded index. Each statement is known by its name; `schema` holds several.

-- name: schema
CREATE TABLE IF NOT EXISTS documents (
    collection TEXT NOT NULL, source TEXT NOT NULL, digest TEXT NOT NULL, passages INTEGER NOT NULL,
    added_at TEXT NOT NULL, embedder TEXT NOT NULL, PRIMARY KEY (collection, source)
);
CREATE TABLE IF NOT EXISTS passages (
    id INTEGER PRIMARY KEY, collection TEXT NOT NULL, source TEXT NOT NULL, passage TEXT NOT NULL,
    heading TEXT NOT NULL, text TEXT NOT NULL, vector BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS passages_of ON passages (collection, source);
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5 (heading, text, tokenize = 'porter unicode61 remove_diacritics 2');

-- name: documents
SELECT collection, source, digest, passages, added_at FROM documents
WHERE :collection IS NULL OR collection = :collection ORDER BY collection, source

-- name: embedder
SELECT embedder FROM documents LIMIT 1

-- name: vectors
SELECT passage, vector FROM passages WHERE collection = :collection AND source = :source

-- name: matrix
SELECT id, vector FROM passages WHERE collection = :collection ORDER BY id

-- name: passage
SELECT source, heading, text, passage FROM passages WHERE id = :id

-- name: matching
SELECT source, passages.heading, passages.text, passage FROM words JOIN passages ON passages.id = words.rowid
WHERE words MATCH :asked AND collection = :collection ORDER BY bm25(words), passages.id LIMIT :limit

-- name: insert_passage
INSERT INTO passages (collection, source, passage, heading, text, vector)
VALUES (:collection, :source, :passage, :heading, :text, :vector)

-- name: insert_words
INSERT INTO words (rowid, heading, text) VALUES (:id, :heading, :text)

-- name: insert_document
INSERT INTO documents (collection, source, digest, passages, added_at, embedder)
VALUES (:collection, :source, :digest, :passages, :added_at, :embedder)

-- name: delete_words
DELETE FROM words WHERE rowid IN (SELECT id FROM passages WHERE collection = :collection AND source = :source)

-- name: delete_passages
DELETE FROM passages WHERE collection = :collection AND source = :source

-- name: delete_document
DELETE FROM documents WHERE collection = :collection AND source = :source
