-- Leads, dead letters and decisions leave together, in one transaction.
INSERT INTO outbox
SELECT topic, k, v, headers FROM lead_messages
UNION ALL
SELECT topic, k, v, headers FROM lead_errors
UNION ALL
SELECT topic, UNHEX(k), UNHEX(v), headers FROM decided
