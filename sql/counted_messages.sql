-- Each message with its step (the number of messages of its workflow so far, itself included) and its shard.
-- Bytes go to Python as hexadecimal text: Flink's thread mode would hand them over one number at a time, and not every
-- text survives its strings. HEX reads text, so each byte is one character first.
CREATE TEMPORARY VIEW counted_messages AS
SELECT
    HEX(DECODE(k, 'ISO-8859-1')) AS k,
    HEX(DECODE(v, 'ISO-8859-1')) AS v,
    HEX(JSON_STRING(headers)) AS headers,
    `partition`,
    `offset`,
    EXTRACT(EPOCH FROM `timestamp`) * 1000 + EXTRACT(MILLISECOND FROM `timestamp`) AS timestamp_ms,
    COUNT(*) OVER (PARTITION BY workflow ORDER BY proctime) AS step,
    -- 16 shards: one hexadecimal digit.
    SUBSTRING(MD5(DECODE(workflow, 'ISO-8859-1')) FROM 1 FOR 1) AS shard
FROM (
    SELECT *, COALESCE(headers['ce_workflowid'], k, place) AS workflow
    FROM fresh_messages
)
