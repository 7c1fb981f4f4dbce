"""The nearest valid word to one that is not."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_CLOSE_ENOUGH = 0.6


def nearest(word: str, valid: Iterable[str], *, at_least: float = _CLOSE_ENOUGH) -> str | None:
    """The word of `valid` that is most like `word`, or None when none is at least `at_least` (0 to 1) like it."""
    found = difflib.get_close_matches(word[:200], sorted(valid), n=1, cutoff=at_least)
    return found[0] if found else None


def did_you_mean(word: str, valid: Iterable[str]) -> str:
    """`: did you mean x?`, or nothing when no valid word is near."""
    guess = nearest(word, valid)
    return f": did you mean {guess}?" if guess else ""
