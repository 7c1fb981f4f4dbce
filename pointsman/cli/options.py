"""Options that several commands share, and what they mean."""

from __future__ import annotations

import getpass
import re
import sys
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from pointsman.envelope import from_rfc3339
from pointsman.errors import ConfigurationError
from pointsman.job_options import EXACTLY_ONCE, FAST, STATE_BACKENDS
from pointsman.plaintext import one_line
from pointsman.settings import settings

_UNITS_S: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


class DeliveryChoice(StrEnum):
    """What the router job promises of its output."""

    EXACTLY_ONCE = EXACTLY_ONCE
    FAST = FAST


class StateBackendChoice(StrEnum):
    """Where the job keeps its state."""

    ROCKSDB = STATE_BACKENDS[0]
    HASHMAP = STATE_BACKENDS[1]


DeliveryOption = Annotated[
    DeliveryChoice | None,
    typer.Option("--delivery", help="Output exactly once with each checkpoint, or at once: docs/guarantees.md."),
]
StateBackendOption = Annotated[
    StateBackendChoice | None,
    typer.Option("--state-backend", help="State on disk or in memory: docs/operations.md."),
]
By = Annotated[str | None, typer.Option("--by", help="In whose name; else POINTSMAN_OPERATOR, else this user.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask. Nobody is asked where no terminal is.")]
Since = Annotated[
    str | None,
    typer.Option("--since", help="From then on: 90s, 10m, 2h, 3d (ago), or 2030-01-02T03:04:05Z."),
]
Until = Annotated[str | None, typer.Option("--until", help="Before then; written as for --since.")]
FromArchive = Annotated[
    Path | None,
    typer.Option("--archive", metavar="DIR", help="Also read the archive in this folder: what Kafka no longer holds."),
]
Unmask = Annotated[bool, typer.Option("--unmask", help="Also show texts, which may name people.")]


def operator(by: str | None) -> str:
    """The name in which a command acts."""
    return by or settings().operator or getpass.getuser()


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone; a script, which has no terminal, is not asked.

    Raises:
        typer.Abort: the person said no; nothing was changed.
    """
    if not yes and sys.stdin.isatty():
        typer.confirm(question, abort=True, err=True)


def duration(text: str, option: str = "--older-than") -> timedelta:
    """A length of time as people write it: `90s`, `10m`, `2h`, `3d`.

    Raises:
        ConfigurationError: it is none.
    """
    match = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if match is None:
        raise ConfigurationError(f"{option}: {one_line(text, 20)} is no length of time", "write 90s, 10m, 2h or 3d")
    return timedelta(seconds=int(match.group(1)) * _UNITS_S[match.group(2)])


def per_second(rate: str) -> int:
    """A rate as people write it: `20/s`.

    Raises:
        BadParameter: it is none.
    """
    match = re.fullmatch(r"([1-9][0-9]{0,3})/s", rate)
    if match is None:
        raise typer.BadParameter("write a rate as 20/s", param_hint="--rate")
    return int(match.group(1))


def moment(text: str | None, option: str, now: datetime) -> datetime | None:
    """A point in time as people write it: how long ago, or RFC 3339; None stays None.

    Raises:
        ConfigurationError: it is neither.
    """
    if text is None:
        return None
    if re.fullmatch(r"\d{1,6}[smhd]", text):
        return now - duration(text, option)
    try:
        return from_rfc3339(text)
    except (ValueError, OverflowError):
        what = f"{option}: {one_line(text, 40)} is no time"
        raise ConfigurationError(what, "write 90s, 10m, 2h, 3d (ago), or 2030-01-02T03:04:05Z") from None


def span(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """The range that --since and --until name.

    Raises:
        ConfigurationError: one of them is no time, or they enclose nothing.
    """
    now = datetime.now(UTC)
    first, last = moment(since, "--since", now), moment(until, "--until", now)
    if first and last and first >= last:
        raise ConfigurationError("--since is not before --until", "nothing lies between them")
    return first, last
