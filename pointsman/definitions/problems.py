"""What is wrong with a definition, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One finding about a definition file.

    Attributes:
        path: the file.
        line: line, from 1; 0 when the whole file is meant.
        column: column, from 1.
        message: what is wrong and what to write instead.
        severity: an error stops an apply, a warning does not.
    """

    path: str
    message: str
    line: int = 0
    column: int = 0
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        return f"{place}: {self.severity}: {self.message}"
