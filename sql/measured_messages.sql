-- Each message with what counting it needs, as text and as numbers. What models have used is taken from agents' first
-- answers (pointsman/usage.py says what the headers mean), once: not again when a dead letter is sent once more. The type
-- goes to Python as text, so it is only what an event type can be.
CREATE TEMPORARY VIEW measured_messages AS
SELECT
    k, v, headers, `partition`, `offset`, proctime, workflow, source, attempt, timestamp_ms, is_said, cause, task,
    CASE WHEN REGEXP(type, '^[a-z][a-z0-9_.]{0,99}$$') THEN type ELSE '' END AS type,
    CASE WHEN is_said THEN CAST(1 AS BIGINT) ELSE CAST(0 AS BIGINT) END AS by_agent,
    CASE WHEN is_said AND attempt = '' THEN
        COALESCE(TRY_CAST(REGEXP_EXTRACT(used_calls, '^([0-9]{1,12})$$', 1) AS BIGINT), 0)
        + COALESCE(TRY_CAST(REGEXP_EXTRACT(routing, '^([0-9]{1,12}),', 1) AS BIGINT), 0)
        ELSE CAST(0 AS BIGINT) END AS calls,
    CASE WHEN is_said AND attempt = '' THEN
        COALESCE(TRY_CAST(REGEXP_EXTRACT(used_input, '^([0-9]{1,12})$$', 1) AS BIGINT), 0)
        + COALESCE(TRY_CAST(REGEXP_EXTRACT(used_output, '^([0-9]{1,12})$$', 1) AS BIGINT), 0)
        + COALESCE(TRY_CAST(REGEXP_EXTRACT(routing, '^[0-9]{1,12},([0-9]{1,12}),', 1) AS BIGINT), 0)
        + COALESCE(TRY_CAST(REGEXP_EXTRACT(routing, ',([0-9]{1,12}),[0-9]{1,12}$$', 1) AS BIGINT), 0)
        ELSE CAST(0 AS BIGINT) END AS tokens,
    CASE WHEN is_said AND attempt = '' THEN
        COALESCE(TRY_CAST(REGEXP_EXTRACT(used_microusd, '^([0-9]{1,12})$$', 1) AS BIGINT), 0)
        + COALESCE(TRY_CAST(REGEXP_EXTRACT(routing, ',([0-9]{1,12})$$', 1) AS BIGINT), 0)
        ELSE CAST(0 AS BIGINT) END AS microusd
FROM (
    SELECT
        *,
        source LIKE '${agent_source}%' AS is_said,
        CASE WHEN source LIKE '${agent_source}%' THEN MD5(DECODE(headers['ce_causationid'], 'ISO-8859-1')) END AS cause,
        CASE WHEN source LIKE '${agent_source}%' THEN MD5(DECODE(headers['ce_taskid'], 'ISO-8859-1')) END AS task
    FROM (
        SELECT
            *,
            EXTRACT(EPOCH FROM `timestamp`) * 1000 + EXTRACT(MILLISECOND FROM `timestamp`) AS timestamp_ms,
            COALESCE(headers['ce_workflowid'], k, place) AS workflow,
            COALESCE(DECODE(headers['ce_source'], 'ISO-8859-1'), '') AS source,
            COALESCE(DECODE(headers['ce_type'], 'ISO-8859-1'), '') AS type,
            COALESCE(DECODE(headers['ce_attempt'], 'ISO-8859-1'), '') AS attempt,
            DECODE(headers['ce_modelcalls'], 'ISO-8859-1') AS used_calls,
            DECODE(headers['ce_inputtokens'], 'ISO-8859-1') AS used_input,
            DECODE(headers['ce_outputtokens'], 'ISO-8859-1') AS used_output,
            DECODE(headers['ce_costmicrousd'], 'ISO-8859-1') AS used_microusd,
            DECODE(headers['ce_routingusage'], 'ISO-8859-1') AS routing
        FROM fresh_messages
    )
)
