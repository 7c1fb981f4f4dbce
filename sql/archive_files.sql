-- The archive: Avro files in a folder for each topic and day (UTC, by Kafka's timestamp). A file can be seen when the
-- checkpoint that covers it is complete, and never changes afterwards.
CREATE TEMPORARY TABLE archive (
    k BYTES,
    v BYTES,
    headers MAP<STRING, BYTES>,
    kafka_partition INT,
    kafka_offset BIGINT,
    kafka_timestamp TIMESTAMP(3),
    topic STRING,
    `day` STRING
) PARTITIONED BY (topic, `day`) WITH (
    'connector' = 'filesystem',
    'path' = '${directory}',
    'format' = 'avro',
    'avro.codec' = 'deflate'
)
