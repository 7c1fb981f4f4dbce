"""Dead letters as something to work on: what each says, which belong together, and what sending one again writes. Pure.

A letter is named by where it lies: `agent_errors/<partition>/<offset>`. It is never changed or removed; what was done
about it stands in `agent_audit`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from pointsman.audit import Action, AuditEntry
from pointsman.deadletters import PREFIX
from pointsman.envelope import ENCRYPTION_HEADER, JSON, Record, encode_payload, from_rfc3339
from pointsman.errors import ErrorReason, RefusedError
from pointsman.shredding.sealing import is_sealed
from pointsman.shredding.values import is_erased
from pointsman.topics import ERRORS, LEADS, MESSAGES, agent_of

MAX_REDRIVES: Final = 3
"""How often one message may be sent again: what failed so often needs a change, not another try."""

_ATTEMPT: Final = "ce_attempt"
_SENT_AGAIN: Final = frozenset({Action.REDRIVEN, Action.EDITED})


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """One dead letter.

    Attributes:
        record: the record on `agent_errors`.
        handled: what was last done about it; None when nothing was.
    """

    record: Record
    handled: AuditEntry | None = None

    @property
    def id(self) -> str:
        """Where it lies; its name for people."""
        return f"{self.record.topic}/{self.record.partition}/{self.record.offset}"

    @property
    def reason(self) -> str:
        """The typed reason, `?` when it carries none."""
        return self.why("reason") or "?"

    @property
    def stage(self) -> str:
        """Who gave up: `leads`, `router`, `agent/<name>`."""
        return self.why("stage") or "?"

    @property
    def failed_at(self) -> datetime:
        """When it was given up, UTC."""
        try:
            return from_rfc3339(self.why("at"))
        except (ValueError, OverflowError):
            return datetime.fromtimestamp(self.record.timestamp_ms / 1000, UTC)

    @property
    def message_id(self) -> str | None:
        """The id of the message in it, if it is one."""
        return self.header("ce_id") or None

    @property
    def workflow_id(self) -> str | None:
        """The workflow that it belongs to, if it says so."""
        return self.header("ce_workflowid") or None

    @property
    def redrives(self) -> int:
        """How often its message was sent again before it failed this time."""
        text = self.header(_ATTEMPT)
        return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0

    def why(self, name: str) -> str:
        """The `x_error_<name>` header."""
        return self.header(f"{PREFIX}{name}")

    def header(self, name: str) -> str:
        """A header as text, empty when there is none."""
        return self.record.headers.get(name, b"").decode(errors="replace")


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which dead letters somebody means.

    Attributes:
        ids: these; empty means any.
        reason: only those of this typed reason.
        stage: only those of this stage; an agent also by its bare name.
        with_handled: also those that somebody has dealt with.
    """

    ids: frozenset[str] = frozenset()
    reason: str | None = None
    stage: str | None = None
    with_handled: bool = False

    def takes(self, letter: DeadLetter) -> bool:
        """Whether `letter` is meant."""
        return (
            (not self.ids or letter.id in self.ids)
            and self.reason in (None, letter.reason)
            and self.stage in (None, letter.stage, letter.stage.removeprefix("agent/"))
            and (self.with_handled or letter.handled is None)
        )


@dataclass(frozen=True, kw_only=True)
class Group:
    """Dead letters of one stage and reason.

    Attributes:
        stage: who gave up.
        reason: the typed reason.
        count: how many they are.
        first_at: when the first was given up.
        last_at: when the last was.
    """

    stage: str
    reason: str
    count: int
    first_at: datetime
    last_at: datetime


def grouped(letters: Iterable[DeadLetter]) -> list[Group]:
    """`letters` by stage and reason, the most numerous first."""
    groups: dict[tuple[str, str], Group] = {}
    for letter in letters:
        key, at = (letter.stage, letter.reason), letter.failed_at
        group = groups.get(key) or Group(stage=key[0], reason=key[1], count=0, first_at=at, last_at=at)
        groups[key] = replace(
            group, count=group.count + 1, first_at=min(group.first_at, at), last_at=max(group.last_at, at)
        )
    return sorted(groups.values(), key=lambda group: (-group.count, group.stage, group.reason))


def with_handled(records: Iterable[Record], audit: Mapping[str, AuditEntry]) -> Iterable[DeadLetter]:
    """The dead letters in `records`, each with what was last done about it."""
    for record in records:
        letter = DeadLetter(record=record)
        yield replace(letter, handled=audit.get(letter.id))


def check_may_be_sent(letter: DeadLetter) -> str:
    """The topic that `letter` goes back to: where its original was read.

    Raises:
        RefusedError: it was sent again before, or too often, or it goes nowhere.
    """
    handled = letter.handled
    if handled is not None and handled.action in _SENT_AGAIN:
        when = f"{handled.at:%Y-%m-%d %H:%M:%S} UTC"
        remedy = "if it failed again, that is another dead letter"
        raise RefusedError(f"{letter.id}: {handled.by} has sent it again at {when}", remedy)
    if letter.redrives >= MAX_REDRIVES:
        what = f"{letter.id}: its message was sent again {letter.redrives} times, {MAX_REDRIVES} are allowed"
        raise RefusedError(what, f"`pointsman dlq discard {letter.id}`, and send a new message")
    if is_erased(letter.record):
        raise RefusedError(f"{letter.id}: its workflow was erased, nobody can read it any more", "discard it")
    topic = letter.why("topic")
    if topic not in (MESSAGES, LEADS) and agent_of(topic) is None:
        what = f"{letter.id}: it was read from {topic[:80] or 'an unknown topic'}, which nothing is sent back to"
        raise RefusedError(what, "mend its source, then discard it")
    return topic


def sent_again(letter: DeadLetter, *, value: bytes | None = None) -> Record:
    """The record that sends `letter` back: original key, bytes and headers, one attempt more.

    Args:
        letter: the dead letter.
        value: JSON that takes the place of its bytes.

    Raises:
        RefusedError: see `check_may_be_sent`; or its bytes are missing.
    """
    topic = check_may_be_sent(letter)
    kept = value if value is not None else letter.record.value
    if kept is None:
        raise RefusedError(f"{letter.id}: {_why_empty(letter)}", "discard it, or give it a payload with `dlq edit`")
    if topic == LEADS and is_sealed(kept):
        kept = _plain(letter)
    headers = {name: octets for name, octets in letter.record.headers.items() if not name.startswith(PREFIX)}
    headers[_ATTEMPT] = str(letter.redrives + 1).encode()
    if value is not None:
        headers["content-type"] = JSON
        headers.pop(ENCRYPTION_HEADER, None)
    return Record(topic=topic, key=letter.record.key, value=kept, headers=headers)


def _plain(letter: DeadLetter) -> bytes:
    """The lead in an encrypted letter: its topic takes it as the connector writes it."""
    if not isinstance(letter.record.decoded, dict):
        raise RefusedError(f"{letter.id}: it is encrypted, and holds no JSON object", "mend it with `dlq edit`")
    return encode_payload(letter.record.decoded)


def letter_id(text: str) -> str:
    """`text` as a dead letter's id.

    Raises:
        RefusedError: it is none.
    """
    topic, _, place = text.partition("/")
    partition, _, offset = place.partition("/")
    if topic != ERRORS or not (partition.isdecimal() and offset.isdecimal()):
        raise RefusedError(f"{text[:80]!r} is no dead letter's id", f"write it as {ERRORS}/<partition>/<offset>")
    return f"{topic}/{int(partition)}/{int(offset)}"


def _why_empty(letter: DeadLetter) -> str:
    if letter.reason == ErrorReason.TOO_LARGE:
        place = f"{letter.why('topic')}/{letter.why('partition')}/{letter.why('offset')}"
        return f"it was too large to be kept here; the original lies at {place}"
    return "it has no value"
