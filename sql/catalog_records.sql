-- The agent catalog's records, as the operator reads them (see counted_messages.sql).
CREATE TEMPORARY VIEW catalog_records AS
SELECT
    HEX(DECODE(k, 'ISO-8859-1')) AS k,
    HEX(DECODE(v, 'ISO-8859-1')) AS v,
    HEX(JSON_STRING(headers)) AS headers,
    `partition`,
    `offset`,
    EXTRACT(EPOCH FROM `timestamp`) * 1000 + EXTRACT(MILLISECOND FROM `timestamp`) AS timestamp_ms
FROM definitions
