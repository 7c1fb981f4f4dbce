-- Each message with what its workflow has come to: its step (the number of messages so far, itself included) and its
-- visits (how often the same agent has said exactly this in it; what a person sends again as another attempt is counted
-- anew); and whether it is a person's word that cancels the workflow. Counted here and not in Python: state reached from
-- there costs about a millisecond per new key. First comes the message's shard, which is what the stream is keyed by: 16 of them, one
-- hexadecimal digit of the workflow's hash. Their number is fixed for ever, since a message in state stays in its shard.
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
        step,
        visits,
        cancels
    ) AS message
FROM (
    SELECT *, COUNT(*) OVER (PARTITION BY workflow, said ORDER BY proctime) AS visits
    FROM (
        SELECT
            *,
            COUNT(*) OVER (PARTITION BY workflow ORDER BY proctime) AS step,
            CASE WHEN source LIKE '${operator_source}%' AND type = '${cancelled_type}' THEN 1 ELSE 0 END AS cancels,
            CASE
                WHEN source LIKE '${agent_source}%'
                THEN MD5(source || ' ' || type || ' ' || attempt || ' ' || MD5(DECODE(v, 'ISO-8859-1')))
                ELSE ''
            END AS said
        FROM (
            SELECT
                *,
                COALESCE(headers['ce_workflowid'], k, place) AS workflow,
                COALESCE(DECODE(headers['ce_source'], 'ISO-8859-1'), '') AS source,
                COALESCE(DECODE(headers['ce_type'], 'ISO-8859-1'), '') AS type,
                COALESCE(DECODE(headers['ce_attempt'], 'ISO-8859-1'), '') AS attempt
            FROM fresh_messages
        )
    )
)
