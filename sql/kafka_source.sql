-- A topic as it is: key, value and headers as bytes, and where the record stood. Nothing is parsed here, so that no
-- bytes whatever can fail the job. Only committed records are seen.
CREATE TEMPORARY TABLE ${table} (
    k BYTES,
    v BYTES,
    headers MAP<STRING, BYTES> METADATA VIRTUAL,
    `partition` INT METADATA VIRTUAL,
    `offset` BIGINT METADATA VIRTUAL,
    `timestamp` TIMESTAMP_LTZ(3) METADATA VIRTUAL,
    proctime AS PROCTIME()
) WITH (
    'connector' = 'kafka',
    'topic' = '${topic}',
    'properties.bootstrap.servers' = '${bootstrap}',
    'properties.security.protocol' = '${security_protocol}',
    'properties.sasl.mechanism' = '${sasl_mechanism}',
    'properties.group.id' = '${group}',
    'properties.isolation.level' = 'read_committed',
    'properties.auto.offset.reset' = 'earliest',
    'scan.startup.mode' = '${startup}',
    'key.format' = 'raw',
    'key.fields' = 'k',
    'value.format' = 'raw',
    'value.fields-include' = 'EXCEPT_KEY'
)
