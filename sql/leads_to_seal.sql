-- What leads write, on its way through the operator that has the keys, as rows of counted_messages.sql. Step 0 says that it
-- is no message to decide on: it is only encrypted and written, to the topic that stands in the place of the first type.
-- Its partition counts down from -1, so that its place is not one of agent_messages.
CREATE TEMPORARY VIEW leads_to_seal AS
SELECT
    SUBSTRING(MD5(COALESCE(DECODE(k, 'ISO-8859-1'), '')) FROM 1 FOR 1) AS shard,
    ROW(
        HEX(DECODE(k, 'ISO-8859-1')),
        HEX(DECODE(v, 'ISO-8859-1')),
        HEX(JSON_STRING(headers)),
        -1 - `partition`,
        `offset`,
        CAST(0 AS BIGINT),
        CAST(0 AS BIGINT),
        CAST(0 AS BIGINT),
        0,
        CAST(0 AS BIGINT),
        CAST(0 AS BIGINT),
        CAST(0 AS BIGINT),
        CAST(0 AS BIGINT),
        topic,
        CAST(0 AS BIGINT),
        CAST(0 AS BIGINT)
    ) AS message
FROM (
    SELECT topic, k, v, headers, `partition`, `offset` FROM lead_messages
    UNION ALL
    SELECT topic, k, v, headers, `partition`, `offset` FROM lead_errors
)
