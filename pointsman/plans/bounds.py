"""What a plan can carry: its tasks' results travel on in state and in later messages."""

from __future__ import annotations

from typing import Any, Final

from pointsman.envelope import Payload, encode_payload

MAX_PLAN_BYTES: Final = 256 * 1024
"""A proposed plan, as JSON."""
MAX_RESULTS_BYTES: Final = 704 * 1024
"""All results of a plan together, as JSON: with the plan itself they must fit into one message, the join."""
MAX_DEPTH: Final = 100
"""Nesting of a payload: what is kept must be readable again, whatever stands around it."""


def carried_size(payload: Payload) -> int | None:
    """Bytes of `payload` as JSON; None when JSON cannot say it, or it is nested too deeply."""
    if _is_deeper(payload, MAX_DEPTH):
        return None
    try:
        return len(encode_payload(payload))
    except ValueError:
        return None


def _is_deeper(value: Any, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [child for part in level for child in _children(part)]
        if not level:
            return False
    return True


def _children(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
