-- Flink SQL's ML_PREDICT between two topics, and nothing else: no guard, no contracts.
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
CREATE TEMPORARY MODEL router_model INPUT (question STRING) OUTPUT (answer STRING) WITH (
    'provider' = 'openai', 'endpoint' = '${endpoint}', 'api-key' = 'not-needed', 'model' = 'gpt-4o-mini',
    'system-prompt' = '${system_prompt}', 'response-format' = 'json_object', 'temperature' = '0', 'max-tokens' = '300',
    'error-handling-strategy' = 'retry', 'retry-num' = '100', 'retry-fallback-strategy' = 'failover'
);
INSERT INTO routed
SELECT k, CONCAT('{"agent": "', JSON_VALUE(answer, '$$.agent'), '", ', SUBSTRING(v FROM 2))
FROM ML_PREDICT(
    TABLE messages, MODEL router_model, DESCRIPTOR(v),
    MAP['async', 'true', 'max-concurrent-operations', '${concurrency}', 'timeout', '180s', 'output-mode', 'ALLOW_UNORDERED']
)
