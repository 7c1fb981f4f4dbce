-- The floor: a record from one topic to another, in the JVM alone; no model, no Python.
CREATE TEMPORARY TABLE messages (k BYTES, v BYTES) WITH (
    'connector' = 'kafka', 'topic' = '${in_topic}', 'properties.bootstrap.servers' = '${bootstrap}',
    'properties.group.id' = '${group}', 'scan.startup.mode' = 'earliest-offset',
    'key.format' = 'raw', 'key.fields' = 'k', 'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY'
);
CREATE TEMPORARY TABLE routed (k BYTES, v BYTES) WITH (
    'connector' = 'kafka', 'topic' = '${out_topic}', 'properties.bootstrap.servers' = '${bootstrap}',
    'properties.linger.ms' = '0', 'sink.delivery-guarantee' = '${guarantee}',
    'sink.transactional-id-prefix' = '${name}', 'properties.transaction.timeout.ms' = '600000',
    'key.format' = 'raw', 'key.fields' = 'k', 'value.format' = 'raw', 'value.fields-include' = 'EXCEPT_KEY'
);
INSERT INTO routed SELECT k, v FROM messages
