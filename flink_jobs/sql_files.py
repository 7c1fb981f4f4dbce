"""Flink SQL from `sql/`, with its placeholders filled in."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Final

SQL_DIR: Final = Path(__file__).parents[1] / "sql"
"""Beside this package, in a checkout and in the archive that is shipped to the cluster alike."""


def statement(name: str, **values: str | int) -> str:
    """The statement in `sql/<name>.sql`; every value goes in as the inside of a quoted SQL text.

    Raises:
        KeyError: the file has a placeholder that got no value.
    """
    text = (SQL_DIR / f"{name}.sql").read_text(encoding="utf-8")
    return Template(text).substitute({key: str(value).replace("'", "''") for key, value in values.items()})
