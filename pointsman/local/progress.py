"""How a stack tells what it is doing."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Hears of every step; calls come from several threads."""

    def started(self, step: str) -> None:
        """`step` has begun."""

    def finished(self, step: str, seconds: float) -> None:
        """`step` is done and took `seconds`."""

    def failed(self, step: str) -> None:
        """`step` has failed; the reason follows as an exception."""


class Silent:
    """Tells nobody."""

    def started(self, step: str) -> None:
        """Ignored."""

    def finished(self, step: str, seconds: float) -> None:
        """Ignored."""

    def failed(self, step: str) -> None:
        """Ignored."""
