"""Pointsman: agents that talk through Kafka, and a Flink job that decides who gets each message next."""

from typing import Final

__version__: Final = "0.1.0"
