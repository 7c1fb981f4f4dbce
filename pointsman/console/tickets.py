"""A form's ticket: says when the form was loaded, so that what fills it in faster than a person can is not believed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from itsdangerous import BadData, URLSafeSerializer

FASTEST: Final = timedelta(seconds=2)
SLOWEST: Final = timedelta(hours=24)


class Tickets:
    """Gives out and checks tickets.

    Args:
        now: the clock, UTC.
        secret: signs tickets; every process that serves the form needs the same.
    """

    def __init__(self, now: Callable[[], datetime], secret: str) -> None:
        self._now = now
        self._signer = URLSafeSerializer(secret, salt="pointsman.form")

    def give(self) -> str:
        """A ticket for a form that is loaded now."""
        return str(self._signer.dumps(int(self._now().timestamp() * 1000)))

    def age(self, ticket: str) -> timedelta | None:
        """How long ago it was given; None when it never was, or too long ago."""
        try:
            given_ms = int(self._signer.loads(ticket))
        except (BadData, TypeError, ValueError):
            return None
        age = timedelta(milliseconds=self._now().timestamp() * 1000 - given_ms)
        return age if timedelta(0) <= age <= SLOWEST else None
