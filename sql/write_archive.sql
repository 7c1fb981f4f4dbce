INSERT INTO archive
SELECT
    k, v, headers, `partition`, `offset`, CAST(`timestamp` AS TIMESTAMP(3)), topic,
    DATE_FORMAT(`timestamp`, 'yyyy-MM-dd')
FROM archived_topics
