-- A lead becomes the first message of a workflow. Its id is derived from the document's, so that a lead which the
-- connector delivers twice is one message. The trace that its insertion began goes on in the message.
CREATE TEMPORARY VIEW lead_messages AS
SELECT
    topic,
    k,
    v,
    CASE
        WHEN traceparent IS NULL THEN headers
        ELSE MAP_UNION(headers, MAP['traceparent', ENCODE(traceparent, 'UTF-8')])
    END AS headers,
    `partition`,
    `offset`
FROM (
    SELECT
        '${messages_topic}' AS topic,
        ENCODE(lead_id, 'UTF-8') AS k,
        v,
        traceparent,
        `partition`,
        `offset`,
        MAP[
            'ce_specversion', ENCODE('1.0', 'UTF-8'),
            'ce_id', ENCODE('sdr.leads/' || lead_id, 'UTF-8'),
            'ce_source', ENCODE('/connectors/mongodb/sdr.leads', 'UTF-8'),
            'ce_type', ENCODE('lead.received', 'UTF-8'),
            'ce_time', ENCODE(DATE_FORMAT(`timestamp`, 'yyyy-MM-dd''T''HH:mm:ss.SSS''Z'''), 'UTF-8'),
            'ce_subject', ENCODE('lead/' || lead_id, 'UTF-8'),
            'ce_workflowid', ENCODE(lead_id, 'UTF-8'),
            'ce_hop', ENCODE('0', 'UTF-8'),
            'content-type', ENCODE('application/json', 'UTF-8')
        ] AS headers
    FROM checked_leads
    WHERE reason IS NULL
)
