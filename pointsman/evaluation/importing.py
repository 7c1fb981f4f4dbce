"""Labelled text of one's own, from a CSV file to a data set."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pointsman.errors import ConfigurationError
from pointsman.evaluation.dataset import Example


@dataclass(frozen=True, kw_only=True)
class CsvColumns:
    """Where a CSV file holds what.

    Attributes:
        text: column of the text.
        label: column of the agent's name.
        nobody: labels that mean that nobody should get it; an empty label always does.
    """

    text: str
    label: str
    nobody: Sequence[str] = ()


def from_csv(path: Path, columns: CsvColumns, event_type: str, field: str) -> list[Example]:
    """The rows of a CSV file (UTF-8, with a heading) as examples.

    Args:
        path: the file.
        columns: where it holds what.
        event_type: type of the messages to be made.
        field: name under which the payload holds the text.

    Raises:
        ConfigurationError: the file cannot be read, or has no such column.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = csv.DictReader(file, strict=True)
            missing = [name for name in (columns.text, columns.label) if name not in (rows.fieldnames or ())]
            if missing:
                raise ConfigurationError(f"{path} has no column {missing[0]}", "name it with --text and --label")
            return list(_examples(rows, path, columns, event_type, field))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigurationError(f"{path} cannot be read as CSV ({type(error).__name__})", "save it as UTF-8") from None


def _examples(
    rows: csv.DictReader[str], path: Path, columns: CsvColumns, event_type: str, field: str
) -> Iterator[Example]:
    for number, row in enumerate(rows, start=1):
        label = (row[columns.label] or "").strip()
        yield Example(
            id=f"row {number}",
            event_type=event_type,
            payload={field: row[columns.text] or ""},
            answer=None if not label or label in columns.nobody else label,
            source=f"csv:{path.name}",
        )
