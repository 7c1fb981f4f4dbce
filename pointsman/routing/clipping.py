"""JSON text of a bounded length: what a lead wrote may be 200 kB, a model's context is smaller."""

from __future__ import annotations

import json
from typing import Any, Final

_MAX_DEPTH: Final = 8
_MAX_ENTRIES: Final = 100
_MAX_NAME_CHARS: Final = 100
_SHORTEST_TEXT: Final = 40


def clipped_json(value: Any, max_chars: int) -> str:
    """`value` as JSON of at most `max_chars` characters (or the marker alone).

    A value that fits is unchanged. Otherwise texts are cut to the longest length that makes the whole fit, each with
    a marker that says how much is missing; what is nested or listed beyond reason is left out first.
    """
    whole = _json(value)
    if whole is not None and len(whole) <= max_chars:
        return whole
    limit = max_chars
    while limit >= _SHORTEST_TEXT:
        text = _json(_clip(value, limit, max(limit * _MAX_ENTRIES // max_chars, 3), 0)) or ""
        if 0 < len(text) <= max_chars:
            return text
        limit //= 2
    return '"[cut: too large to show]"'


def _clip(value: Any, limit: int, entries: int, depth: int) -> Any:
    if isinstance(value, str):
        return _clip_text(value, limit)
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 512:
        return "[cut: a very large number]"
    if not isinstance(value, dict | list):
        return value
    if depth >= _MAX_DEPTH:
        return "[cut: nested deeper]"
    if isinstance(value, list):
        return _clip_list(value, limit, entries, depth)
    return _clip_object(value, limit, entries, depth)


def _clip_list(value: list[Any], limit: int, entries: int, depth: int) -> list[Any]:
    kept = [_clip(entry, limit, entries, depth + 1) for entry in value[:entries]]
    missing = len(value) - len(kept)
    return [*kept, f"[cut: {missing} more]"] if missing else kept


def _clip_object(value: dict[str, Any], limit: int, entries: int, depth: int) -> dict[str, Any]:
    names = list(value)[:entries]
    kept = {name[:_MAX_NAME_CHARS]: _clip(value[name], limit, entries, depth + 1) for name in names}
    missing = len(value) - len(names)
    return {**kept, "[cut]": f"{missing} more"} if missing else kept


def _clip_text(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[:limit]} [cut: {len(text) - limit} characters]"


def _json(value: Any) -> str | None:
    """The JSON text, without half surrogate pairs (no transport can send them); None when Python cannot write it."""
    try:
        text = json.dumps(value, ensure_ascii=False)
    except (RecursionError, ValueError):
        return None
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode(errors="replace").decode()
    return text
