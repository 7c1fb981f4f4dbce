"""What the local model sees of a message: words, parts of words, and the fields that hold no prose. Pure Python.

Training and deciding share this one function, so that a model never meets features that it was not trained on.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pointsman.envelope import Payload

WORD: Final = "w"
PART: Final = "p"
FIELD: Final = "f"
GROUPS: Final = (WORD, PART, FIELD)
"""Kinds of feature, each the first letter of its name; each kind is scaled by itself."""

_TOKEN: Final = re.compile(r"\w+")
_IS_ID: Final = re.compile(r"(?:^|_)id$")
_MAX_CHARS: Final = 2000
_MAX_VALUES: Final = 200
_MAX_DEPTH: Final = 6
_LONGEST_VALUE: Final = 40
_LONGEST_WORD: Final = 40
_LARGEST: Final = 1e300
_PART_LENGTHS: Final = (3, 4)
_SHORT_PART: Final = 2
"""Scripts without spaces put a word into two characters."""

Cuts = Mapping[str, Sequence[float]]
"""For each number in a payload, by its path: the values at which it makes a difference."""


def features(event_type: str, payload: Payload, cuts: Cuts) -> dict[str, int]:
    """How often each feature occurs in a message.

    Of a long message only the first 2000 characters of its texts are seen, so that the time for one is bounded. Ids
    tell nothing about the next message and are left out.

    Args:
        event_type: the message's type.
        payload: its payload.
        cuts: where numbers make a difference, as the model was trained.
    """
    counts = {f"{FIELD}:type={event_type}": 1}
    left = _MAX_CHARS
    for path, value in values(payload):
        if isinstance(value, str):
            text = unicodedata.normalize("NFKC", value[:left]).lower()
            left -= len(text)
            _add_text(counts, path, text)
        elif isinstance(value, bool) or value is None:
            _count(counts, f"{FIELD}:{path}={value}")
        else:
            for cut in cuts.get(path, ()):
                if value >= cut:
                    _count(counts, f"{FIELD}:{path} >= {cut:g}")
        if left <= 0:
            break
    return counts


def numbers(payload: Payload) -> Iterator[tuple[str, float]]:
    """Every number in a payload with its path, but for those that no float holds."""
    for path, value in values(payload):
        if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST:
            yield path, float(value)


def _add_text(counts: dict[str, int], path: str, text: str) -> None:
    if len(text) <= _LONGEST_VALUE:
        _count(counts, f"{FIELD}:{path}={text}")
    before = ""
    for word in _TOKEN.findall(text):
        _count(counts, f"{WORD}:{word[:_LONGEST_WORD]}")
        if before:
            _count(counts, f"{WORD}:{before} {word[:_LONGEST_WORD]}")
        before = word[:_LONGEST_WORD]
        _add_parts(counts, word)


def _add_parts(counts: dict[str, int], word: str) -> None:
    padded = f" {word} "
    for length in (_SHORT_PART, *_PART_LENGTHS) if not word.isascii() else _PART_LENGTHS:
        for start in range(len(padded) - length + 1):
            name = f"{PART}:{padded[start : start + length]}"
            counts[name] = counts.get(name, 0) + 1


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1


def values(payload: Payload) -> Iterator[tuple[str, Any]]:
    """The payload's plain values but for ids, and their paths: entries of a list have one. A bounded number of them."""
    waiting: list[tuple[str, Any, int]] = [("", payload, 0)]
    given = 0
    while waiting and given < _MAX_VALUES:
        path, value, depth = waiting.pop()
        if isinstance(value, dict) and depth < _MAX_DEPTH:
            named = [(name, inner) for name, inner in list(value.items())[:_MAX_VALUES] if not _IS_ID.search(name)]
            waiting += [(f"{path}.{name}" if path else name, inner, depth + 1) for name, inner in reversed(named)]
        elif isinstance(value, list) and depth < _MAX_DEPTH:
            waiting += [(path, inner, depth + 1) for inner in reversed(value[:_MAX_VALUES])]
        elif not isinstance(value, dict | list):
            given += 1
            yield path, value
