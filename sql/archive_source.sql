-- The topics to keep, each record as it is: key, value and headers as bytes, and where it stood. Nothing is parsed, so
-- that no bytes whatever can fail the job. Only committed records are seen. Without state the job begins at the
-- beginning: readers drop what is in the archive twice, and nothing would tell them of what is missing.
CREATE TEMPORARY TABLE archived_topics (
    k BYTES,
    v BYTES,
    headers MAP<STRING, BYTES> METADATA VIRTUAL,
    topic STRING METADATA VIRTUAL,
    `partition` INT METADATA VIRTUAL,
    `offset` BIGINT METADATA VIRTUAL,
    `timestamp` TIMESTAMP_LTZ(3) METADATA VIRTUAL
) WITH (
    'connector' = 'kafka',
    'topic' = '${topics}',
    'properties.bootstrap.servers' = '${bootstrap}',
    'properties.security.protocol' = '${security_protocol}',
    'properties.sasl.mechanism' = '${sasl_mechanism}',
    ${login}
    'properties.group.id' = '${group}',
    'properties.isolation.level' = 'read_committed',
    'properties.auto.offset.reset' = 'earliest',
    'scan.startup.mode' = 'earliest-offset',
    'key.format' = 'raw',
    'key.fields' = 'k',
    'value.format' = 'raw',
    'value.fields-include' = 'EXCEPT_KEY'
)
