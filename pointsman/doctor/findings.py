"""What was found: one line about one thing, and its fix."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How a thing is."""

    OK = "ok"
    WARNING = "warning"
    """It works, and somebody should know."""
    WRONG = "wrong"
    """It is there and not as it must be."""
    DOWN = "down"
    """It does not answer."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        area: what it belongs to, e.g. `kafka`.
        subject: which thing, e.g. the name of a topic.
        verdict: how it is.
        detail: what was found, in one sentence without secrets or personal data.
        fix: what to do, in one line; empty when nothing is to be done.
    """

    area: str
    subject: str
    verdict: Verdict
    detail: str
    fix: str = ""


def worst(findings: Iterable[Finding]) -> Verdict:
    """The gravest verdict among `findings`."""
    order = list(Verdict)
    return max((finding.verdict for finding in findings), key=order.index, default=Verdict.OK)
