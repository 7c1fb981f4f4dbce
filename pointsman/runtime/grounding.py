"""What the team's own documents say about a message, for an agent whose definition declares `knowledge`.

A passage is data like all else in the user turn: it never stands in the system turn, and what an answer says it rests
on counts only where code finds it among the passages that were given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pointsman.definitions import AgentDefinition
from pointsman.knowledge import Passage, Retriever
from pointsman.plaintext import many_lines, one_line, without_addresses

_TEXT_CHARS: Final = 1_000
_NAME_CHARS: Final = 200
_MOST_PASSAGES: Final = 10
"""As a definition may ask for; not as many as there are: the schema stays the same from call to call."""
_QUERY_CHARS: Final = 2_000
USED: Final = "passages_used"
"""The property of an answer that numbers the passages it rests on."""


async def passages_for(definition: AgentDefinition, knowledge: Retriever, query: str) -> list[Passage]:
    """The passages that an agent may use about `query`; none where it declares no knowledge.

    Args:
        definition: the agent's.
        knowledge: the team's own documents.
        query: what they are searched for; only its first 2000 characters are.

    Raises:
        StoreUnavailableError: the index does not answer, or all of it took too long.
        ModelUnavailableError: the embedding server does not answer.
        ModelAnswerError: the embedding server refuses the question.
        ConfigurationError: the index and the settings do not fit each other.
    """
    declared = definition.knowledge
    asked = one_line(query, _QUERY_CHARS)
    if declared is None or not asked:
        return []
    found = await knowledge.search(asked, collection=declared.collection, passages=declared.passages)
    return list(found)


def as_data(passages: Sequence[Passage]) -> dict[str, Any]:
    """The passages for a user turn, numbered from 1; nothing where there are none."""
    if not passages:
        return {}
    return {"our_documents": {"passages": [_entry(number, each) for number, each in enumerate(passages, start=1)]}}


def used_property(passages: Sequence[Passage]) -> dict[str, Any]:
    """The property of an answer's schema that says which passages it rests on; nothing where there are none."""
    if not passages:
        return {}
    numbers = {"type": "integer", "minimum": 1, "maximum": _MOST_PASSAGES}
    told = "Numbers of the passages of our documents that the answer rests on."
    return {USED: {"type": "array", "items": numbers, "description": told}}


def citations(content: dict[str, Any], passages: Sequence[Passage]) -> list[dict[str, str]]:
    """The passages that an answer says it rests on, for the record; numbers that were never given are left out."""
    used = sorted({number for number in content.get(USED, ()) if 1 <= number <= len(passages)})
    return [citation(passages[number - 1]) for number in used]


def citation(passage: Passage) -> dict[str, str]:
    """Where a passage stands: its document, the headings above it, and the id of its text."""
    return {
        "source": one_line(passage.source, _NAME_CHARS),
        "heading": one_line(passage.heading, _NAME_CHARS),
        "passage": passage.id,
    }


def _entry(number: int, passage: Passage) -> dict[str, Any]:
    return {
        "number": number,
        "source": one_line(passage.source, _NAME_CHARS),
        "heading": one_line(passage.heading, _NAME_CHARS),
        "text": without_addresses(many_lines(passage.text, _TEXT_CHARS)),
    }
