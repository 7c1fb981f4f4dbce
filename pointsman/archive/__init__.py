"""The archive, the cold tier: records of Kafka as files, a folder for each topic and day.

A Flink SQL job writes it (`flink_jobs.archive_topics`); this package tells that job what to do, reads the files, and
deletes from them. One Avro file holds what one checkpoint covered: `topic=<name>/day=<UTC day>/part-…`.
"""
