-- Each message with its step: the number of messages of its workflow so far, itself included. First comes its shard,
-- which is what the stream is keyed by: 16 of them, one hexadecimal digit of the workflow's hash. Their number is fixed
-- for ever, since a message in state stays in its shard.
-- Bytes go to Python as hexadecimal text: Flink's thread mode would hand them over one number at a time, and not every
-- text survives its strings. HEX reads text, so each byte is one character first.
CREATE TEMPORARY VIEW counted_messages AS
SELECT
    SUBSTRING(MD5(DECODE(workflow, 'ISO-8859-1')) FROM 1 FOR 1) AS shard,
    ROW(
        HEX(DECODE(k, 'ISO-8859-1')),
        HEX(DECODE(v, 'ISO-8859-1')),
        HEX(JSON_STRING(headers)),
        `partition`,
        `offset`,
        EXTRACT(EPOCH FROM `timestamp`) * 1000 + EXTRACT(MILLISECOND FROM `timestamp`),
        step
    ) AS message
FROM (
    SELECT *, COUNT(*) OVER (PARTITION BY workflow ORDER BY proctime) AS step
    FROM (
        SELECT *, COALESCE(headers['ce_workflowid'], k, place) AS workflow
        FROM fresh_messages
    )
)
