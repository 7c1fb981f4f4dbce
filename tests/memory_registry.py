"""A schema registry in memory."""

from __future__ import annotations

import json

from pointsman.avro.registry import Registered
from pointsman.avro.schema import changes
from pointsman.errors import RegistryUnavailableError


class MemoryRegistry:
    """Keeps subjects compatible as `BACKWARD` has it.

    Attributes:
        is_out: it does not answer.
        asked: how often it was asked.
        by_subject: schemas, oldest first.
    """

    def __init__(self) -> None:
        self.is_out = False
        self.asked = 0
        self.schemas: list[str] = []
        self.by_subject: dict[str, list[str]] = {}

    def by_id(self, number: int) -> str | None:
        self._answer()
        return self.schemas[number - 1] if 0 < number <= len(self.schemas) else None

    def latest(self, subject: str) -> Registered | None:
        self._answer()
        texts = self.by_subject.get(subject)
        return Registered(id=self.schemas.index(texts[-1]) + 1, text=texts[-1]) if texts else None

    def takes(self, subject: str, text: str) -> bool:
        self._answer()
        texts = self.by_subject.get(subject)
        return not texts or not list(changes(json.loads(texts[-1]), json.loads(text)))

    def register(self, subject: str, text: str) -> int:
        self._answer()
        self.by_subject.setdefault(subject, []).append(text)
        if text not in self.schemas:
            self.schemas.append(text)
        return self.schemas.index(text) + 1

    def _answer(self) -> None:
        self.asked += 1
        if self.is_out:
            raise RegistryUnavailableError("the schema registry does not answer")
