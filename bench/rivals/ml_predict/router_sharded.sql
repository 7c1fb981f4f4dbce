-- ML_PREDICT in its fastest form without another jar: the provider keeps one HTTP client per address and key, and each
-- has five calls in flight at most. So the messages are shared out over many models, each with a key of its own.
-- A statement that names a shard is said once for each (job.py).
CREATE TEMPORARY TABLE messages (k BYTES, v STRING) WITH (
    'connector' = 'kafka', 'topic' = '${in_topic}', 'properties.bootstrap.servers' = '${bootstrap}',
    'properties.group.id' = '${group}', 'scan.startup.mode' = 'earliest-offset',
    'key.format' = 'raw', 'key.fields' = 'k', 'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY'
);
CREATE TEMPORARY TABLE routed (k BYTES, v STRING) WITH (
    'connector' = 'kafka', 'topic' = '${out_topic}', 'properties.bootstrap.servers' = '${bootstrap}',
    'properties.linger.ms' = '0', 'sink.delivery-guarantee' = 'at-least-once',
    'key.format' = 'raw', 'key.fields' = 'k', 'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY'
);
CREATE TEMPORARY MODEL router_model_${shard} INPUT (question STRING) OUTPUT (answer STRING) WITH (
    'provider' = 'openai', 'endpoint' = '${endpoint}', 'api-key' = 'not-needed-${shard}', 'model' = 'gpt-4o-mini',
    'system-prompt' = '${system_prompt}', 'response-format' = 'json_object', 'temperature' = '0', 'max-tokens' = '300',
    'error-handling-strategy' = 'retry', 'retry-num' = '100', 'retry-fallback-strategy' = 'failover'
);
CREATE TEMPORARY VIEW messages_${shard} AS
SELECT k, v FROM messages WHERE MOD(ABS(HASH_CODE(v)), ${shards}) = ${shard};
CREATE TEMPORARY VIEW answered_${shard} AS
SELECT k, v, answer FROM ML_PREDICT(
    TABLE messages_${shard}, MODEL router_model_${shard}, DESCRIPTOR(v),
    MAP['async', 'true', 'max-concurrent-operations', '${concurrency}', 'timeout', '180s', 'output-mode', 'ALLOW_UNORDERED']
);
INSERT INTO routed
SELECT k, CONCAT('{"agent": "', JSON_VALUE(answer, '$$.agent'), '", ', SUBSTRING(v FROM 2)) FROM (${all_answered})
