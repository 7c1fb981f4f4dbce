"""The web page: reads Kafka and the local mailbox, writes nothing.

`view` is the state in memory, `reading` feeds it from Kafka, `mailbox` reads mails, `server` serves page and JSON.
"""
