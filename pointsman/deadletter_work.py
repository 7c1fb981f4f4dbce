"""Works on dead letters: sends them again or sets them aside, each with its audit record in the same transaction.

What was done before is read inside the transaction. Whoever works takes the transactional id over, so of two people who
send the same letter again at the same time one is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Any, Final, Protocol

from pointsman.audit import Action, AuditEntry, latest
from pointsman.deadletter_queue import DeadLetter, Selection, sent_again, with_handled
from pointsman.envelope import Record
from pointsman.errors import RefusedError
from pointsman.kafka import publish, read_all
from pointsman.kafka.clients import FencedError
from pointsman.topics import AUDIT, ERRORS

TRANSACTIONAL_ID: Final = "pointsman.dead_letters"


class DeadLetterTopics(Protocol):
    """Where dead letters lie, and where what becomes of them is written."""

    def letters(self) -> Iterable[Record]:
        """Every record of `agent_errors`."""
        ...

    def audit(self) -> Iterable[Record]:
        """Every record of `agent_audit`."""
        ...

    def publish(self, records: Iterable[Record]) -> None:
        """Write all or none; `records` is begun only when nobody else can publish any more."""
        ...


class KafkaDeadLetterTopics:
    """Dead letters on a Kafka cluster.

    Args:
        bootstrap: `host:port`, several separated by commas.
    """

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap

    def letters(self) -> Iterable[Record]:
        return read_all(self._bootstrap, ERRORS)

    def audit(self) -> Iterable[Record]:
        return read_all(self._bootstrap, AUDIT)

    def publish(self, records: Iterable[Record]) -> None:
        try:
            publish(self._bootstrap, records, TRANSACTIONAL_ID)
        except FencedError as error:
            what = "somebody else began to work on dead letters, and the last ones of yours were not written"
            raise RefusedError(what, "look at `pointsman dlq ls` and go on") from error


@dataclass(frozen=True, kw_only=True)
class Done:
    """What became of one dead letter.

    Attributes:
        id: the letter's id.
        is_done: False when it was refused.
        text: where it went, or why it was refused.
    """

    id: str
    is_done: bool
    text: str


@dataclass(frozen=True, kw_only=True)
class DeadLetterWork:
    """What a person does about dead letters.

    Attributes:
        topics: where they lie.
        by: who does it.
        now: the clock, UTC.
        pause: waits that many seconds.
    """

    topics: DeadLetterTopics
    by: str
    now: Callable[[], datetime]
    pause: Callable[[float], None]

    def find(self, selection: Selection) -> Iterator[DeadLetter]:
        """The letters that `selection` takes, in the order of their partitions."""
        audit = latest(self.topics.audit())
        return (letter for letter in with_handled(self.topics.letters(), audit) if selection.takes(letter))

    def preview(self, letters: Iterable[DeadLetter]) -> list[Done]:
        """What `redrive` would do; nothing is written."""
        return [_attempted(letter, self._redriven)[0] for letter in letters]

    def redrive(self, letters: Sequence[DeadLetter], per_s: int) -> Iterator[Done]:
        """Send `letters` back to where they were read, `per_s` of them in a transaction and a second."""
        for start in range(0, len(letters), per_s):
            if start:
                self.pause(1.0)
            yield from self._write(letters[start : start + per_s], self._redriven)

    def edit(self, letter: DeadLetter, value: bytes) -> Done:
        """Send `letter` back with `value` in the place of its bytes; the letter itself keeps them."""
        return self._write([letter], lambda letter: self._edited(letter, value))[0]

    def discard(self, letters: Sequence[DeadLetter], note: str) -> list[Done]:
        """Note that nothing more is to be done about `letters`."""
        return self._write(letters, lambda letter: self._discarded(letter, note))

    def _write(self, letters: Sequence[DeadLetter], work: _Work) -> list[Done]:
        """Do `work` on each of `letters`, in one transaction."""
        done: list[Done] = []

        def records() -> Iterator[Record]:
            audit = latest(self.topics.audit())
            for letter in letters:
                result, written = _attempted(replace(letter, handled=audit.get(letter.id)), work)
                done.append(result)
                yield from written

        self.topics.publish(records())
        return done

    def _redriven(self, letter: DeadLetter) -> _Written:
        record, text = _sent(letter, None)
        return [record, self._entry(Action.REDRIVEN, letter, _about(record)).to_record()], text

    def _edited(self, letter: DeadLetter, value: bytes) -> _Written:
        record, text = _sent(letter, value)
        hashes = {"payload_sha256": _hash(value), "original_sha256": _hash(letter.record.value)}
        return [record, self._entry(Action.EDITED, letter, {**_about(record), **hashes}).to_record()], text

    def _discarded(self, letter: DeadLetter, note: str) -> _Written:
        if letter.handled is not None:
            raise RefusedError(f"{letter.id}: {letter.handled.by} has dealt with it ({letter.handled.action.value})")
        return [self._entry(Action.DISCARDED, letter, {"note": note}).to_record()], "discarded"

    def _entry(self, action: Action, letter: DeadLetter, details: Mapping[str, Any]) -> AuditEntry:
        about = {"message_id": letter.message_id, "reason": letter.reason, "stage": letter.stage, **details}
        return AuditEntry(
            action=action,
            subject=letter.id,
            by=self.by,
            at=self.now(),
            details=about,
            workflow_id=letter.workflow_id,
        )


_Written = tuple[list[Record], str]
_Work = Callable[[DeadLetter], _Written]


def _attempted(letter: DeadLetter, work: _Work) -> tuple[Done, list[Record]]:
    try:
        records, text = work(letter)
    except RefusedError as error:
        return Done(id=letter.id, is_done=False, text=str(error)), []
    return Done(id=letter.id, is_done=True, text=text), records


def _sent(letter: DeadLetter, value: bytes | None) -> tuple[Record, str]:
    record = sent_again(letter, value=value)
    return record, f"to {record.topic}, attempt {letter.redrives + 1}"


def _about(record: Record) -> dict[str, Any]:
    return {"to": record.topic, "attempt": int(record.headers["ce_attempt"])}


def _hash(value: bytes | None) -> str | None:
    return None if value is None else sha256(value).hexdigest()
