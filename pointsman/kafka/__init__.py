"""Kafka: the only package that imports confluent_kafka.

`login` says who a client is, `clients` has the connection settings and turns client errors into ours, `admin` makes and
inspects topics, `held` finds what holds their readers back, `users` gives rights, `reading` and `writing` move records,
`inbox` is what the agents' runtime consumes and answers through.
"""

from pointsman.kafka.admin import KafkaAdmin
from pointsman.kafka.follower import KafkaFollower
from pointsman.kafka.held import OpenTransaction, open_transactions
from pointsman.kafka.login import KafkaLogin
from pointsman.kafka.reading import accepted, load_catalog, load_effects_control, read_all, tail
from pointsman.kafka.writing import publish

__all__ = [
    "KafkaAdmin",
    "KafkaFollower",
    "KafkaLogin",
    "OpenTransaction",
    "accepted",
    "load_catalog",
    "load_effects_control",
    "open_transactions",
    "publish",
    "read_all",
    "tail",
]
