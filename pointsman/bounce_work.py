"""Works off a folder of mails that came: who bounced for good, or complained, gets no more mail; replies are noted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from pointsman.bounces import Verdict, read_returned
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError
from pointsman.evaluation.feedback import MailOutcome, reply_record
from pointsman.replies import read_reply
from pointsman.runtime.ledger import EFFECTS
from pointsman.store import DocumentStore
from pointsman.suppressions import SuppressionReason, suppress

PROCESSED: Final = "processed"
_MOST_BYTES: Final = 10 * 1024 * 1024
_ENDS: Final = {Verdict.HARD_BOUNCE: SuppressionReason.RETURNED, Verdict.COMPLAINT: SuppressionReason.COMPLAINED}


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one file was.

    Attributes:
        file: its name.
        outcome: a verdict, `reply`, `unknown_mail` or `not_a_notification`.
        is_suppressed: whether a person gets no more mail because of it.
        record: what is to be put on record about it, if anything.
    """

    file: str
    outcome: str
    is_suppressed: bool = False
    record: Record | None = None


def waiting(folder: Path) -> list[Path]:
    """The files in `folder`, or in `new` below it (a Maildir), that are to be read.

    Raises:
        ConfigurationError: there is no such folder.
    """
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is no folder", "name the folder that returned mails are put in")
    place = folder / "new" if (folder / "new").is_dir() else folder
    return sorted(path for path in place.iterdir() if path.is_file() and not path.name.startswith("."))


def read(file: Path) -> bytes:
    """What `file` holds, or begins with: what says whose mail it is stands before large attachments."""
    with file.open("rb") as opened:
        return opened.read(_MOST_BYTES)


def put_aside(folder: Path, file: Path) -> None:
    """Move `file`, which is dealt with, to `processed` in `folder`."""
    (folder / PROCESSED).mkdir(exist_ok=True)
    file.replace(folder / PROCESSED / file.name)


async def work_off(name: str, raw: bytes, store: DocumentStore, now: datetime, *, dry_run: bool = False) -> Result:
    """Do what one mail asks for, but for its record, which the caller writes; doing it again changes nothing.

    Args:
        name: its file's name, for the result.
        raw: the mail.
        store: where ledger and suppression list are.
        now: the time, UTC.
        dry_run: only say what it asks for.

    Raises:
        StoreUnavailableError: the store did not answer.
    """
    returned = read_returned(raw)
    if returned is None:
        return await _reply(name, raw, store, now)
    effect = await store.get(EFFECTS, returned.effect)
    person = effect["facts"].get("recipient") if effect else None
    if person is None:
        return Result(file=name, outcome="unknown_mail")
    reason = _ENDS.get(returned.verdict)
    if reason and not dry_run:
        await suppress(store, person, reason=reason, now=now)
    return Result(file=name, outcome=returned.verdict.value, is_suppressed=reason is not None)


async def _reply(name: str, raw: bytes, store: DocumentStore, now: datetime) -> Result:
    answered = read_reply(raw)
    if answered is None:
        return Result(file=name, outcome="not_a_notification")
    effect = await store.get(EFFECTS, answered)
    if effect is None or "erased_at" in effect:
        return Result(file=name, outcome="unknown_mail")
    return Result(file=name, outcome=MailOutcome.REPLY.value, record=reply_record(effect, now))
