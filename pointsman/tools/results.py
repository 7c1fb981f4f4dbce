"""What a tool said, as one bounded text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from mcp.types import CallToolResult

MOST_RESULT_CHARS: Final = 8000
"""Of one result; a model's context is not for a server to fill."""
MOST_DESCRIPTION_CHARS: Final = 1000
MOST_SCHEMA_CHARS: Final = 16_000


def told(text: str) -> str:
    """What the model gets of a result: data, as JSON."""
    return json.dumps({"result": clipped(text, MOST_RESULT_CHARS)}, ensure_ascii=False)


def told_error(text: str) -> str:
    """What the model gets where a tool failed or was refused: data, as JSON."""
    return json.dumps({"error": clipped(text, MOST_RESULT_CHARS)}, ensure_ascii=False)


def clipped(text: str, most: int) -> str:
    """`text`, cut off after `most` characters, with a word on how many are missing."""
    return text if len(text) <= most else f"{text[:most]} … ({len(text) - most} more characters were cut off)"


def result_text(result: CallToolResult) -> str:
    """The texts of a result, else its structured content; other kinds of content are named only."""
    parts = list(_parts(result.content))
    if not parts and result.structured_content is not None:
        return json.dumps(result.structured_content, ensure_ascii=False)
    return "\n".join(parts)


def _parts(content: Iterable[Any]) -> Iterable[str]:
    for block in content:
        yield block.text if block.type == "text" else f"[{block.type}, left out]"
