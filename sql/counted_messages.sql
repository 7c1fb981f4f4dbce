-- Each message with what its workflow has come to: its step (the number of messages so far, itself included) and its
-- visits (how often the same agent has said exactly this in it; what a person sends again as another attempt is counted
-- anew); whether it is a person's word that cancels the workflow; its fan-out (how many answers of its agents were not the
-- first to their message: what agents have said less the messages that they have answered); what models have used for
-- it; the type and the time of its first message; its chain (so many answers one after the other it has at least, whatever
-- hops its messages claim: what agents have said, spread over its branches, of which there are no more than messages that
-- answer none, further answers to one message, and tasks of plans). Counted here and not in Python: state reached from there costs about a
-- millisecond per new key. First comes the message's shard, which is what the stream is keyed by: 16 of them, one per
-- hexadecimal digit of the workflow's hash, with names that Flink's own hash spreads evenly over 2, 4, 8 and 16 instances.
-- Number and names are fixed for ever, since a message in state stays in its shard.
-- Bytes go to Python as hexadecimal text: Flink's thread mode would hand them over one number at a time, and not every
-- text survives its strings. HEX reads text, so each byte is one character first.
CREATE TEMPORARY VIEW counted_messages AS
SELECT
    TRANSLATE(
        SUBSTRING(MD5(DECODE(workflow, 'ISO-8859-1')) FROM 1 FOR 1), '0123456789abcdef', '9D8107yi2k6NfL4C'
    ) AS shard,
    ROW(
        HEX(DECODE(k, 'ISO-8859-1')),
        HEX(DECODE(v, 'ISO-8859-1')),
        HEX(JSON_STRING(headers)),
        `partition`,
        `offset`,
        timestamp_ms,
        step,
        visits,
        cancels,
        said - answered,
        model_calls,
        model_tokens,
        model_microusd,
        first_type,
        began_ms,
        (said + branches - 1) / branches
    ) AS message
FROM (
    SELECT
        *,
        COUNT(*) OVER (PARTITION BY workflow, words ORDER BY proctime) AS visits,
        GREATEST(step - answered + tasks, CAST(1 AS BIGINT)) AS branches
    FROM (
        SELECT
            *,
            COUNT(*) OVER of_workflow AS step,
            SUM(by_agent) OVER of_workflow AS said,
            COUNT(DISTINCT cause) OVER of_workflow AS answered,
            COUNT(DISTINCT task) OVER of_workflow AS tasks,
            SUM(calls) OVER of_workflow AS model_calls,
            SUM(tokens) OVER of_workflow AS model_tokens,
            SUM(microusd) OVER of_workflow AS model_microusd,
            FIRST_VALUE(type) OVER of_workflow AS first_type,
            MIN(timestamp_ms) OVER of_workflow AS began_ms,
            CASE WHEN source LIKE '${operator_source}%' AND type = '${cancelled_type}' THEN 1 ELSE 0 END AS cancels,
            CASE
                WHEN is_said
                THEN MD5(source || ' ' || type || ' ' || attempt || ' ' || MD5(DECODE(v, 'ISO-8859-1')))
                ELSE ''
            END AS words
        FROM measured_messages
        WINDOW of_workflow AS (PARTITION BY workflow ORDER BY proctime)
    )
)
