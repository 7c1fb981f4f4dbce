"""Data without the people in it: what may be shown to whoever has not asked for personal data."""

from __future__ import annotations

from typing import Any, Final

from pointsman.logging import mask
from pointsman.plaintext import one_line

_LONGEST_ID: Final = 60
_LONGEST_TEXT: Final = 600


def masked(value: Any, name: str = "") -> Any:
    """A payload without its texts, which may name people: only ids, numbers and its shape remain."""
    if isinstance(value, dict):
        return {key: masked(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        return [masked(inner, name) for inner in value]
    if not isinstance(value, str):
        return value
    return masked_line(value, _LONGEST_ID) if name == "id" or name.endswith("_id") else f"[text of {len(value)}]"


def masked_line(text: str, longest: int = _LONGEST_TEXT) -> str:
    """`text` as one line of at most `longest` characters: addresses shortened, no control characters."""
    return mask(one_line(text, longest))
