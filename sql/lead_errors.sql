-- A lead that is none, as a dead letter: original key, bytes and headers, and why and where it stood.
-- The headers are those of pointsman/deadletters.py.
CREATE TEMPORARY VIEW lead_errors AS
SELECT
    '${errors_topic}' AS topic,
    k,
    CASE WHEN size <= ${max_kept_bytes} THEN v END AS v,
    MAP_UNION(headers, MAP[
        'x_error_reason', ENCODE(reason, 'UTF-8'),
        'x_error_stage', ENCODE('leads', 'UTF-8'),
        'x_error_message', ENCODE(CASE reason
            WHEN 'too_large' THEN 'the value has ' || CAST(size AS STRING)
                || ' bytes, at most ${max_payload_bytes} are allowed'
            WHEN 'invalid_json' THEN 'the document is no JSON object'
            ELSE 'the document has no usable _id' END, 'UTF-8'),
        'x_error_topic', ENCODE('${leads_topic}', 'UTF-8'),
        'x_error_partition', ENCODE(CAST(`partition` AS STRING), 'UTF-8'),
        'x_error_offset', ENCODE(CAST(`offset` AS STRING), 'UTF-8'),
        'x_error_attempts', ENCODE('1', 'UTF-8'),
        'x_error_first_at', ENCODE(DATE_FORMAT(`timestamp`, 'yyyy-MM-dd''T''HH:mm:ss.SSS''Z'''), 'UTF-8'),
        'x_error_at', ENCODE(DATE_FORMAT(CURRENT_TIMESTAMP, 'yyyy-MM-dd''T''HH:mm:ss.SSS''Z'''), 'UTF-8'),
        'x_error_catalog', ENCODE('', 'UTF-8')
    ]) AS headers,
    `partition`,
    `offset`
FROM checked_leads
-- A tombstone says that the lead was erased (pointsman/cli/lead_erasure.py).
WHERE reason <> 'tombstone'
