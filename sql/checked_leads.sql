-- Each lead with its id, its size in bytes, and what is wrong with it (NULL: nothing).
CREATE TEMPORARY VIEW checked_leads AS
SELECT
    k, v, headers, `partition`, `offset`, `timestamp`, lead_id, size,
    -- W3C trace context of whoever inserted the lead; a malformed one counts as none.
    CASE WHEN REGEXP(traceparent, '^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$$') THEN traceparent END
        AS traceparent,
    CASE
        WHEN v IS NULL THEN 'tombstone'
        WHEN size > ${max_payload_bytes} THEN 'too_large'
        WHEN text IS NOT JSON OBJECT THEN 'invalid_json'
        WHEN lead_id IS NULL OR CHAR_LENGTH(lead_id) NOT BETWEEN 1 AND 200 THEN 'not_a_message'
    END AS reason
FROM (
    SELECT
        *,
        JSON_VALUE(text, '$$._id' NULL ON EMPTY NULL ON ERROR) AS lead_id,
        JSON_VALUE(text, '$$.traceparent' NULL ON EMPTY NULL ON ERROR) AS traceparent
    FROM (
        SELECT *, CASE WHEN size <= ${max_payload_bytes} THEN DECODE(v, 'UTF-8') END AS text
        FROM (
            -- One character per byte: SQL has no length of BYTES.
            SELECT *, CHAR_LENGTH(DECODE(v, 'ISO-8859-1')) AS size FROM leads
        )
    )
)
