-- The first record of each CloudEvents identity (source and id); later ones are redeliveries. A record without an id
-- is no message; it stays unique by its place, so that each one reaches the dead letters. A dead letter that a person
-- sends again keeps its id and counts ce_attempt up, which makes it new here once per attempt.
CREATE TEMPORARY VIEW fresh_messages AS
SELECT k, v, headers, `partition`, `offset`, `timestamp`, place, proctime
FROM (
    SELECT *, ROW_NUMBER() OVER (PARTITION BY ce_source, id_or_place, ce_attempt ORDER BY proctime ASC) AS occurrence
    FROM (
        SELECT
            *,
            COALESCE(headers['ce_source'], X'') AS ce_source,
            COALESCE(headers['ce_attempt'], X'') AS ce_attempt,
            CASE WHEN headers['ce_id'] <> X'' THEN headers['ce_id'] ELSE place END AS id_or_place
        FROM (
            SELECT *, ENCODE(CAST(`partition` AS STRING) || '@' || CAST(`offset` AS STRING), 'UTF-8') AS place
            FROM messages
        )
    )
)
WHERE occurrence = 1
