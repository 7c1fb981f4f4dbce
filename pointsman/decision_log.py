"""Entries of the decision log, as they are read from `agent_decisions`. Pure; what the router wrote stays whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pointsman.envelope import Record, from_rfc3339
from pointsman.topics import DECISIONS

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, kw_only=True, order=True)
class Place:
    """Where a record lies.

    Attributes:
        topic: its topic.
        partition: its partition.
        offset: its offset.
    """

    topic: str
    partition: int
    offset: int

    @staticmethod
    def of(record: Record) -> Place:
        """Where `record` was read."""
        return Place(topic=record.topic, partition=record.partition, offset=record.offset)

    def __str__(self) -> str:
        return f"{self.topic}-{self.partition}@{self.offset}"


@dataclass(frozen=True, kw_only=True)
class LoggedDecision:
    """One decision, as it was logged.

    Attributes:
        value: the whole entry; docs/messages.md names its fields.
        place: where the entry lies.
        decided_at: when it was made; None when the entry does not say.
    """

    value: Mapping[str, Any]
    place: Place
    decided_at: datetime | None = field(default=None)

    @property
    def message_id(self) -> str | None:
        """Id of the message; None when the record was no message."""
        return self._text("message_id") or None

    @property
    def workflow_id(self) -> str | None:
        """Its workflow; None when the record was no message."""
        return self._text("workflow_id") or None

    @property
    def event_type(self) -> str:
        """The message's type."""
        return self._text("event_type")

    @property
    def source(self) -> str:
        """Who wrote the message."""
        return self._text("source")

    @property
    def outcome(self) -> str:
        """What happened to the message."""
        return self._text("outcome")

    @property
    def how(self) -> str:
        """How that was decided."""
        return self._text("how")

    @property
    def agent(self) -> str | None:
        """Who got it."""
        return self._text("agent") or None

    @property
    def proposed(self) -> str | None:
        """Who gets it if a person approves."""
        return self._text("proposed") or None

    @property
    def reason(self) -> str:
        """Why, for a person."""
        return self._text("reason")

    @property
    def reason_code(self) -> str:
        """Why, for a program."""
        return self._text("reason_code")

    @property
    def catalog(self) -> str:
        """Version of the catalog that was used."""
        return self._text("catalog")

    @property
    def catalog_sequence(self) -> int:
        """Its sequence."""
        return self._number("catalog_sequence")

    @property
    def step(self) -> int:
        """Number of the message within its workflow."""
        return self._number("step")

    @property
    def attempt(self) -> int:
        """How often a person has sent the message again."""
        return self._number("attempt")

    @property
    def model_call(self) -> Mapping[str, Any] | None:
        """The model call behind it, if there was one."""
        call = self.value.get("model_call")
        return call if isinstance(call, dict) else None

    @property
    def candidates(self) -> tuple[Mapping[str, Any], ...]:
        """Every agent that lists the type: `agent`, `version`, `fits`, `why`."""
        listed = self.value.get("candidates")
        return tuple(one for one in listed if isinstance(one, dict)) if isinstance(listed, list) else ()

    @property
    def message_place(self) -> Place:
        """Where the message lies."""
        return Place(
            topic=self._text("topic"),
            partition=self._number("partition", default=-1),
            offset=self._number("offset", default=-1),
        )

    def _text(self, name: str) -> str:
        value = self.value.get(name)
        return value if isinstance(value, str) else ""

    def _number(self, name: str, *, default: int = 0) -> int:
        value = self.value.get(name)
        return value if isinstance(value, int) and not isinstance(value, bool) else default


def read_decision(record: Record) -> LoggedDecision | None:
    """The entry in `record`; None when it is of another topic or holds no JSON object."""
    if record.topic != DECISIONS:
        return None
    value = parsed_object(record.value)
    return (
        LoggedDecision(value=value, place=Place.of(record), decided_at=_time(value.get("decided_at")))
        if value
        else None
    )


def read_decisions(records: Iterable[Record]) -> Iterator[LoggedDecision]:
    """The entries in `records`, others left out."""
    return filter(None, map(read_decision, records))


def in_time(
    decisions: Iterable[LoggedDecision], since: datetime | None, until: datetime | None
) -> list[LoggedDecision]:
    """Those made at `since` or later and before `until`, in the order of their times; None is no bound."""
    timed = [(one.decided_at, one) for one in decisions if one.decided_at is not None]
    chosen = [one for at, one in timed if (since is None or at >= since) and (until is None or at < until)]
    return sorted(chosen, key=lambda one: (one.decided_at, one.place))


def parsed_object(octets: bytes | None) -> Mapping[str, Any]:
    """`octets` as a JSON object; an empty one when they are none."""
    try:
        value = json.loads(octets or b"")
    except (ValueError, RecursionError):
        return _NOTHING
    return value if isinstance(value, dict) else _NOTHING


def _time(value: Any) -> datetime | None:
    try:
        return from_rfc3339(value)
    except (ValueError, TypeError, OverflowError):
        return None
