"""What the stack knows of each of its parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from string import Template
from typing import Protocol

from pointsman.local.programs import Program


class Component(Protocol):
    """A part of the stack: one program, or several alike."""

    @property
    def programs(self) -> tuple[Program, ...]:
        """The programs that supervisord runs for it."""

    def prepare(self) -> None:
        """Write its configuration and what it needs on disk; called before its programs start."""

    def is_ready(self) -> bool:
        """Whether it does its work now; called again and again after its programs have started."""


def fill(templates: Iterable[Path], target: Path, values: Mapping[str, object]) -> None:
    """Write `templates`, one after the other, to `target` with their `${...}` replaced by `values`."""
    text = "".join(Template(each.read_text(encoding="utf-8")).substitute(values) for each in templates)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")
