"""A valid definition file, and a catalog topic in memory."""

from __future__ import annotations

from collections.abc import Iterable

from pointsman.catalog import Catalog, CatalogReader
from pointsman.definitions import AgentDefinition
from pointsman.envelope import Record
from pointsman.topics import DEFINITIONS, Topic

GOOD = """\
name: greeter
version: 1.0.0
description: Greets people who say hello.
accepts:
  - type: hello.said
    contract: {type: object}
emits:
  - type: greeting.written
    terminal: true
    contract:
      type: object
      properties:
        text: {type: string}
"""


class MemoryCatalogTopic:
    """The topic as a list of records, read back through the reader that everybody uses."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.topics: set[str] = set()
        self.log: list[str] = []

    def load(self) -> Catalog:
        self.log.append("load")
        reader, catalog = CatalogReader(), Catalog()
        for record in (one for one in self.records if one.topic == DEFINITIONS):
            catalog = reader.accept(record.key, record.value) or catalog
        return catalog

    def ensure_topics(self, topics: Iterable[Topic]) -> list[str]:
        self.log.append("topics")
        made = {topic.name for topic in topics} - self.topics
        self.topics |= made
        return sorted(made)

    def register(self, definitions: Iterable[AgentDefinition]) -> None:
        self.log.append("register")

    def publish(self, records: Iterable[Record]) -> None:
        self.log.append("begin")
        self.records += list(records)
        self.log.append("commit")
