-- Records that go no further, and why. What is too large for a message never reaches Python.
CREATE TEMPORARY VIEW refused_records AS
SELECT k, v, headers, `partition`, `offset`, `timestamp`, size, '${leads_topic}' AS topic, 'leads' AS stage, reason
FROM checked_leads
WHERE reason IS NOT NULL
UNION ALL
SELECT k, v, headers, `partition`, `offset`, `timestamp`, size, '${messages_topic}', 'router', 'too_large'
FROM fresh_messages
WHERE size > ${max_payload_bytes}
