-- The one sink: every record names its topic. Exactly once, all that one checkpoint covers is committed in one transaction;
-- fast, a record is visible at once, and after a restart perhaps a second time (docs/guarantees.md).
CREATE TEMPORARY TABLE outbox (
    topic STRING METADATA,
    k BYTES,
    v BYTES,
    headers MAP<STRING, BYTES> METADATA
) WITH (
    'connector' = 'kafka',
    'topic-pattern' = '${topics}',
    'properties.bootstrap.servers' = '${bootstrap}',
    'properties.security.protocol' = '${security_protocol}',
    'properties.sasl.mechanism' = '${sasl_mechanism}',
    'properties.max.request.size' = '${max_record_bytes}',
    -- Must outlive the longest outage between two checkpoints and stay below the broker's transaction.max.timeout.ms.
    'properties.transaction.timeout.ms' = '600000',
    'properties.linger.ms' = '0',
    'sink.delivery-guarantee' = '${guarantee}',
    'sink.transactional-id-prefix' = '${transactional_id_prefix}',
    -- One writer keeps the order in which the decisions of one workflow were made.
    'sink.parallelism' = '1',
    'key.format' = 'raw',
    'key.fields' = 'k',
    'value.format' = 'raw',
    'value.fields-include' = 'EXCEPT_KEY'
)
