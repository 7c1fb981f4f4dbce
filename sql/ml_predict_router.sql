-- The routing as Flink SQL alone, for clusters without Python: `python -m flink_jobs.sql_router` fills it in and puts the
-- statements that it shares with the Python job before it. docs/sql-job.md says what it cannot do.
SET 'pipeline.name' = '${name}';
SET 'table.exec.state.ttl' = '${state_ttl_s} s';
SET 'table.exec.resource.default-parallelism' = '1';
SET 'execution.checkpointing.interval' = '${checkpoint_interval_ms} ms';
SET 'execution.checkpointing.mode' = 'EXACTLY_ONCE';
-- In the order of arrival a slow answer would hold up all others.
SET 'table.exec.async-ml-predict.output-mode' = 'ALLOW_UNORDERED';
SET 'table.exec.async-ml-predict.max-concurrent-operations' = '100';
SET 'table.exec.async-ml-predict.timeout' = '60 s';

-- A row that is ignored would be lost: when the model stays away the job fails, and its restart asks again.
CREATE TEMPORARY MODEL router_model
INPUT (question STRING)
OUTPUT (answer STRING)
WITH (
    'provider' = 'openai',
    'endpoint' = '${endpoint}',
    'api-key' = '${api_key}',
    'model' = '${model}',
    'system-prompt' = '${system_prompt}',
    'response-format' = 'json_object',
    'temperature' = '0',
    'max-tokens' = '300',
    'error-handling-strategy' = 'retry',
    'retry-num' = '3',
    'retry-fallback-strategy' = 'failover'
);

CREATE TEMPORARY VIEW typed_messages AS
SELECT
    *,
    COUNT(*) OVER (PARTITION BY workflow ORDER BY proctime) AS step
FROM (
    SELECT
        k, v, headers, `partition`, `offset`, `timestamp`, proctime,
        COALESCE(DECODE(headers['ce_id'], 'UTF-8'), '') AS id,
        COALESCE(DECODE(headers['ce_type'], 'UTF-8'), '') AS type,
        COALESCE(DECODE(headers['ce_source'], 'UTF-8'), '') AS source,
        COALESCE(DECODE(headers['ce_workflowid'], 'UTF-8'), '') AS workflow,
        COALESCE(DECODE(v, 'UTF-8'), '') AS text
    FROM fresh_messages
);

-- What a map does not hold may come out of it as an empty text instead of NULL.
-- By type alone: `only_one` has the agent that is the only one to take a type, `several` those that the model chooses among.
CREATE TEMPORARY VIEW sorted_messages AS
SELECT
    *,
    CASE
        WHEN id = '' OR source = '' OR workflow = '' OR text IS NOT JSON OBJECT THEN 'rejected'
        WHEN CHAR_LENGTH(text) > ${max_payload_bytes} THEN 'rejected'
        WHEN several IS NULL AND only_one IS NULL AND terminal IS NOT NULL THEN 'completed'
        WHEN several IS NULL AND only_one IS NULL THEN 'abstained'
        WHEN step > ${max_steps} THEN 'abstained'
        WHEN only_one IS NOT NULL THEN 'routed'
        ELSE 'asked'
    END AS way
FROM (
    SELECT
        *,
        NULLIF(MAP[${only_one}][type], '') AS only_one,
        NULLIF(MAP[${several}][type], '') AS several,
        NULLIF(MAP[${terminal}][type], '') AS terminal
    FROM typed_messages
);

CREATE TEMPORARY VIEW asked_messages AS
SELECT * FROM ML_PREDICT(
    INPUT => (
        SELECT
            k, v, headers, `partition`, `offset`, `timestamp`, id, type, source, workflow, text, step, several,
            '{"event_type":"' || type || '","payload":' || SUBSTRING(text FROM 1 FOR 12000) || '}' AS question
        FROM sorted_messages
        WHERE way = 'asked'
    ),
    MODEL => MODEL router_model,
    ARGS => DESCRIPTOR(question),
    CONFIG => MAP['async', 'true']
);

CREATE TEMPORARY VIEW decided_messages AS
SELECT
    k, v, headers, `partition`, `offset`, `timestamp`, id, type, source, workflow, step, only_one AS agent, way AS outcome,
    CASE way WHEN 'routed' THEN 'single_candidate' ELSE 'contract' END AS how,
    CASE
        WHEN way = 'routed' THEN 'the only agent that takes this event'
        WHEN way = 'completed' THEN 'the event is terminal'
        WHEN way = 'rejected' THEN 'the record is no message'
        WHEN only_one IS NULL AND several IS NULL THEN 'no agent takes this event'
        ELSE 'more steps than a workflow may take'
    END AS reason,
    CASE
        WHEN way = 'rejected' THEN 'not_a_message'
        WHEN way <> 'abstained' THEN way
        WHEN only_one IS NULL AND several IS NULL THEN 'unknown_event_type'
        ELSE 'step_limit'
    END AS reason_code
FROM sorted_messages
WHERE way <> 'asked'
UNION ALL
SELECT
    k, v, headers, `partition`, `offset`, `timestamp`, id, type, source, workflow, step,
    CASE WHEN is_candidate THEN chosen END AS agent,
    CASE WHEN is_candidate THEN 'routed' ELSE 'abstained' END AS outcome,
    'model' AS how,
    COALESCE(JSON_VALUE(answer, '$$.reason' NULL ON EMPTY NULL ON ERROR), 'the model gave no usable answer') AS reason,
    CASE WHEN is_candidate THEN 'routed' ELSE 'model_none' END AS reason_code
FROM (
    SELECT *, COALESCE(LOCATE('|' || chosen || '|', several) > 0, FALSE) AS is_candidate
    FROM (
        SELECT *, JSON_VALUE(answer, '$$.agent' NULL ON EMPTY NULL ON ERROR) AS chosen
        FROM asked_messages
    )
);

INSERT INTO outbox
SELECT topic, k, v, headers FROM lead_messages
UNION ALL
SELECT topic, k, v, headers FROM lead_errors
UNION ALL
SELECT
    'agents.' || agent || '.inbox',
    ENCODE(workflow, 'UTF-8'),
    v,
    MAP_UNION(headers, MAP[
        'ce_hop',
        ENCODE(CAST(COALESCE(TRY_CAST(DECODE(headers['ce_hop'], 'UTF-8') AS INT), 0) + 1 AS STRING), 'UTF-8')
    ])
FROM decided_messages
WHERE outcome = 'routed'
UNION ALL
SELECT
    '${escalations_topic}',
    ENCODE(workflow, 'UTF-8'),
    v,
    MAP_UNION(headers, MAP[
        'x_escalation_reason', ENCODE(reason_code, 'UTF-8'),
        'x_escalation_message', ENCODE(reason, 'UTF-8'),
        'x_escalation_step', ENCODE(CAST(step AS STRING), 'UTF-8'),
        'x_escalation_topic', ENCODE('${messages_topic}', 'UTF-8'),
        'x_escalation_partition', ENCODE(CAST(`partition` AS STRING), 'UTF-8'),
        'x_escalation_offset', ENCODE(CAST(`offset` AS STRING), 'UTF-8')
    ])
FROM decided_messages
WHERE outcome = 'abstained'
UNION ALL
SELECT
    '${errors_topic}',
    k,
    v,
    MAP_UNION(COALESCE(headers, MAP['x_error_by', ENCODE('sql', 'UTF-8')]), MAP[
        'x_error_reason', ENCODE(reason_code, 'UTF-8'),
        'x_error_stage', ENCODE('router', 'UTF-8'),
        'x_error_message', ENCODE(reason, 'UTF-8'),
        'x_error_topic', ENCODE('${messages_topic}', 'UTF-8'),
        'x_error_partition', ENCODE(CAST(`partition` AS STRING), 'UTF-8'),
        'x_error_offset', ENCODE(CAST(`offset` AS STRING), 'UTF-8'),
        'x_error_attempts', ENCODE('1', 'UTF-8')
    ])
FROM decided_messages
WHERE outcome = 'rejected'
UNION ALL
SELECT
    '${decisions_topic}',
    ENCODE(id, 'UTF-8'),
    ENCODE(JSON_OBJECT(
        KEY 'message_id' VALUE id,
        KEY 'workflow_id' VALUE workflow,
        KEY 'event_type' VALUE type,
        KEY 'source' VALUE source,
        KEY 'step' VALUE step,
        KEY 'topic' VALUE '${messages_topic}',
        KEY 'partition' VALUE `partition`,
        KEY 'offset' VALUE `offset`,
        KEY 'outcome' VALUE outcome,
        KEY 'how' VALUE how,
        KEY 'reason' VALUE reason,
        KEY 'reason_code' VALUE reason_code,
        KEY 'agent' VALUE agent,
        KEY 'catalog' VALUE '${catalog}'
    ), 'UTF-8'),
    MAP['content-type', ENCODE('application/json', 'UTF-8')]
FROM decided_messages;
