"""The files of the archive: find them by topic and day, read them, delete from them."""

from __future__ import annotations

import os
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final, cast

import fastavro

from pointsman.envelope import Record
from pointsman.errors import ConfigurationError

_TOPIC: Final = "topic="
_DAY: Final = "day="
_PART: Final = "part-*"
_NUMBER: Final = re.compile(r"(\d+)$")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, kw_only=True, order=True)
class Day:
    """What the archive holds of one topic and day.

    Attributes:
        topic: the topic's name.
        day: the day in UTC, by Kafka's timestamp.
        folder: where its files are.
    """

    topic: str
    day: date
    folder: Path


class Archive:
    """An archive in a folder of this machine.

    Args:
        folder: the folder that the archive job writes to.

    Raises:
        ConfigurationError: there is no such folder.
    """

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            what = f"there is no archive in {folder}"
            raise ConfigurationError(what, "`pointsman archive start` makes one; copy or mount a bucket to read it")
        self.folder = folder

    def days(self, topic: str | None = None) -> list[Day]:
        """What is there, of `topic` or of all, the earliest day first; other folders are left out."""
        wanted = f"{_TOPIC}{topic or '*'}/{_DAY}*"
        found = ((path, _day(path.name)) for path in self.folder.glob(wanted) if path.is_dir())
        days = [Day(topic=path.parent.name.removeprefix(_TOPIC), day=day, folder=path) for path, day in found if day]
        return sorted(days, key=lambda one: (one.day, one.topic))

    def records(self, topic: str, since: datetime | None = None, until: datetime | None = None) -> Iterator[Record]:
        """The records of `topic` from `since` on and before `until`, by Kafka's timestamp; None is no bound.

        Only days within the bounds are opened. What one job wrote of a partition comes in its order; what is in the
        archive twice comes twice.

        Raises:
            ConfigurationError: a file cannot be read.
        """
        first, last = (_EPOCH if since is None else since), until
        for one in self.days(topic):
            if one.day < first.astimezone(UTC).date() or (last and one.day > last.astimezone(UTC).date()):
                continue
            for record in records_of(one):
                at = _EPOCH + record.timestamp_ms * _MILLISECOND
                if at >= first and (last is None or at < last):
                    yield record

    def overdue(self, today: date, keep_days: int) -> list[Day]:
        """The days that are older than `keep_days`."""
        return [one for one in self.days() if one.day < today - timedelta(days=keep_days)]

    def drop(self, day: Day) -> None:
        """Delete a day of a topic with all its files.

        Raises:
            ConfigurationError: it cannot be deleted.
        """
        try:
            shutil.rmtree(day.folder)
        except OSError as error:
            what = f"{day.folder} cannot be deleted: {error.strerror}"
            raise ConfigurationError(what, "check the rights of the archive") from None

    def without(self, is_about: Callable[[Record], bool]) -> int:
        """Take the records out that `is_about` picks, for good; how many. A file is replaced by a whole one.

        Raises:
            ConfigurationError: a file cannot be read or replaced.
        """
        return sum(_rewritten(one.topic, file, is_about) for one in self.days() for file in files_of(one))


def records_of(day: Day) -> Iterator[Record]:
    """The records of one topic and day.

    Raises:
        ConfigurationError: a file cannot be read.
    """
    for file in files_of(day):
        with _readable(file) as opened, _understood(file):
            for row in fastavro.reader(opened):
                yield _record(day.topic, cast("dict[str, Any]", row))


def files_of(day: Day) -> list[Path]:
    """The complete files of one topic and day, in the order in which they were written."""
    parts = [(path, path.stat().st_mtime_ns) for path in day.folder.glob(_PART)]
    return [path for path, _ in sorted(parts, key=lambda part: (part[1], _number(part[0].name), part[0].name))]


def _rewritten(topic: str, file: Path, is_about: Callable[[Record], bool]) -> int:
    with _readable(file) as opened, _understood(file):
        reader = fastavro.reader(opened)
        rows = [cast("dict[str, Any]", row) for row in reader]
    kept = [row for row in rows if not is_about(_record(topic, row))]
    if len(kept) < len(rows):
        _replace(file, reader.writer_schema, kept)
    return len(rows) - len(kept)


def _replace(file: Path, schema: Any, rows: list[dict[str, Any]]) -> None:
    fresh = file.with_name(f".{file.name}.rewritten")
    try:
        with fresh.open("wb") as written:
            fastavro.writer(written, schema, rows, codec="deflate")
        # Files are read in the order of their times.
        os.utime(fresh, ns=(file.stat().st_mtime_ns,) * 2)
        fresh.replace(file)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be replaced: {error.strerror}", "check rights and disk") from None


def _readable(file: Path) -> IO[bytes]:
    try:
        return file.open("rb")
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}", "check its rights") from None


@contextmanager
def _understood(file: Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, EOFError, IndexError, KeyError, TypeError, zlib.error) as error:
        what = f"{file} is no file of the archive ({type(error).__name__})"
        raise ConfigurationError(what, "take it out of the archive, or restore it from a backup") from None


def _record(topic: str, row: dict[str, Any]) -> Record:
    # As Kafka's client gives them: a header without a value is an empty one.
    headers = {name: value or b"" for name, value in (row["headers"] or {}).items()}
    return Record(
        topic=topic,
        key=row["k"],
        value=row["v"],
        headers=headers,
        partition=row["kafka_partition"],
        offset=row["kafka_offset"],
        timestamp_ms=(row["kafka_timestamp"] - _EPOCH) // _MILLISECOND,
    )


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(name.removeprefix(_DAY))
    except ValueError:
        return None


def _number(name: str) -> int:
    match = _NUMBER.search(name)
    return int(match.group(1)) if match else 0
