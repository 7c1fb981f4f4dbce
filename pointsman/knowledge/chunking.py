"""Cuts sections into passages: as long as a thought, never over a heading. Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from pointsman.knowledge.reading import Section

VERSION: Final = "1"
"""Changes when the same document is cut otherwise: documents that were cut in another way are read anew."""
_MOST_CHARS: Final = 900
_SENTENCE_END: Final = re.compile(r"(?<=[.!?…。])\s+")
_ID_CHARS: Final = 16


@dataclass(frozen=True, kw_only=True)
class Chunk:
    """A passage before it has a vector.

    Attributes:
        id: a hash of headings and text: the same passage has the same id in every run.
        heading: the headings above it, outermost first, with ` > ` between them.
        text: its words.
    """

    id: str
    heading: str
    text: str

    @property
    def embedded(self) -> str:
        """What is embedded: a passage by itself often does not say what it is about."""
        return f"{self.heading}\n{self.text}" if self.heading else self.text


def chunks_of(sections: Sequence[Section], most_chars: int = _MOST_CHARS) -> list[Chunk]:
    """The passages of a document, each once, in order.

    Args:
        sections: the document.
        most_chars: upper bound of one passage, in characters.
    """
    found = [_chunk(section, text) for section in sections for text in _packed(section.text, most_chars)]
    return list({chunk.id: chunk for chunk in found}.values())


def _chunk(section: Section, text: str) -> Chunk:
    heading = " > ".join(section.headings)
    digest = hashlib.sha256(f"{heading}\0{text}".encode(errors="replace")).hexdigest()
    return Chunk(id=digest[:_ID_CHARS], heading=heading, text=text)


def _packed(text: str, most: int) -> Iterator[str]:
    """Paragraphs together as long as there is room."""
    held = ""
    for piece in _pieces(text, most):
        if held and len(held) + len(piece) + 1 > most:
            yield held
            held = ""
        held = f"{held}\n{piece}" if held else piece
    if held:
        yield held


def _pieces(text: str, most: int) -> Iterator[str]:
    """Paragraphs; sentences where a paragraph is too long; cuts where a sentence is."""
    for paragraph in filter(None, (each.strip() for each in text.split("\n\n"))):
        if len(paragraph) <= most:
            yield paragraph
            continue
        for sentence in _SENTENCE_END.split(paragraph):
            yield from (sentence[start : start + most] for start in range(0, len(sentence), most))
