"""What a user turn says: its values, each with its place, told apart by who they speak of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pointsman.models.offline.words import (
    all_words,
    content_words,
    one_line,
    relative,
    stem,
    with_relatives,
    without_links,
)

_MAX_FACTS: Final = 400
_MAX_TEXT_CHARS: Final = 4000
_MAX_DEPTH: Final = 12
_IDENTIFIER: Final = re.compile(r"[a-z0-9_]+(?:[./][a-z0-9_]+)+|[0-9a-f]{16,}|[0-9a-f-]{36}|[\w.-]*\d{6,}[\w.-]*", re.I)
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?")
# Parts of a path that mark what follows as about the writer, not about the person written to.
_OURS: Final = frozenset({"offer", "sender", "us", "our", "we", "writer", "seller", "product", "signature", "angle"})
_LABEL: Final = re.compile(r"([^\W\d_][\w -]{1,28}[^\W_]):\s+(?=\S)")
_IDS: Final = frozenset({"id", "ids", "uuid", "hash", "version", "ref"})


@dataclass(frozen=True, kw_only=True)
class Fact:
    """One value of a user turn.

    Attributes:
        path: names on the way to it; list entries have no name.
        value: a text, a number or a truth value.
        number: the number that the fact goes by in its list, for answers that refer to it.
        source: where it says it comes from, if it does.
    """

    path: tuple[str, ...]
    value: str | float | bool
    number: int | None = None
    source: str = ""

    @property
    def name(self) -> str:
        """The last name on the path."""
        return self.path[-1] if self.path else ""

    @cached_property
    def text(self) -> str:
        """The value as one line of text."""
        return one_line(self.value) if isinstance(self.value, str) else ""

    @cached_property
    def label(self) -> str:
        """What a text that starts with `Label:` says it is, lower case; else the fact's name."""
        mark = _LABEL.match(self.text)
        return mark.group(1).lower() if mark else self.name.replace("_", " ").strip().lower()

    @cached_property
    def content(self) -> str:
        """The text without label and links."""
        mark = _LABEL.match(self.text)
        return without_links(self.text[mark.end() :] if mark else self.text).strip()

    @cached_property
    def is_ours(self) -> bool:
        """It speaks of the writer, not of the person written to."""
        return any(part in _OURS for name in self.path for part in name.lower().split("_"))

    @cached_property
    def is_reference(self) -> bool:
        """An id, a type name or a time: nothing to compare or to tell."""
        named = any(part in _IDS for part in self.name.lower().strip("_").split("_"))
        return named or bool(_IDENTIFIER.fullmatch(self.text) or _TIME.fullmatch(self.text))

    @cached_property
    def is_prose(self) -> bool:
        """At least three words that could stand in a sentence."""
        return not self.is_reference and len(self.content.split()) >= 3


class UserTurn:
    """A user turn, read once.

    Args:
        text: the turn's text: JSON, or anything else, which is one fact.
    """

    def __init__(self, text: str) -> None:
        self.data = _parsed(text)
        self.facts = list(_facts(self.data))

    @cached_property
    def theirs(self) -> list[Fact]:
        """What is about the other side, references left out."""
        return [fact for fact in self.facts if not fact.is_ours and not fact.is_reference]

    @cached_property
    def surface(self) -> dict[str, str]:
        """The stems of all that is about the other side, each with the word it was first seen as."""
        return content_words("\n".join(fact.text for fact in self.theirs if fact.text))

    @cached_property
    def words(self) -> frozenset[str]:
        """The content words of all that is about the other side, as stems."""
        return with_relatives(self.surface)

    def said(self, word: str) -> str:
        """How the user turn says the stem `word`, or a relative of it."""
        return self.surface.get(word) or next((say for each, say in self.surface.items() if relative(each) == word), "")

    @cached_property
    def phrases(self) -> str:
        """All words of all that is about the other side, as stems in order."""
        return " ".join(all_words("\n".join(fact.text for fact in self.theirs if fact.text)))

    @cached_property
    def references(self) -> frozenset[str]:
        """Ids and type names, as they stand."""
        return frozenset(fact.text for fact in self.facts if fact.is_reference and fact.text)

    @cached_property
    def numbers(self) -> dict[str, float]:
        """Numbers by the stem of their name's last word; the first of equal names."""
        found: dict[str, float] = {}
        for fact in self.theirs:
            if isinstance(fact.value, int | float) and not isinstance(fact.value, bool):
                words = all_words(fact.name)
                found.setdefault(words[-1] if words else "", float(fact.value))
        return found

    @cached_property
    def number_names(self) -> dict[str, str]:
        """How to say the names of `numbers`."""
        names = {all_words(fact.name)[-1]: fact.label for fact in reversed(self.theirs) if all_words(fact.name)}
        return {stem: names.get(stem, stem) for stem in self.numbers}

    @cached_property
    def labels(self) -> dict[str, str]:
        """Short values with their names: the stems of `next_step engage` between blanks, and how to say it."""
        short = [fact for fact in self.theirs if fact.text and len(fact.text.split()) <= 3]
        return {
            f" {' '.join(all_words(f'{each.name} {each.text}'))} ": f"{each.label} {each.content}" for each in short
        }

    def given(self, name: str) -> Any:
        """What stands under exactly this name at the top, or in the one object below it; None if nothing does."""
        if not isinstance(self.data, dict):
            return None
        below = [value for value in self.data.values() if isinstance(value, dict)]
        return next((each[name] for each in (self.data, *below) if name in each), None)

    def named(self, *names: str, ours: bool = False) -> str:
        """The first short text that goes by one of `names`, in the order of `names`."""
        for name in names:
            for fact in self.facts:
                if fact.label == name and fact.is_ours == ours and fact.content and not fact.is_reference:
                    return fact.content
        return ""

    def prose(self) -> list[Fact]:
        """Facts that can be told, each once, without links."""
        seen: set[str] = set()
        told = []
        for fact in self.theirs:
            if fact.is_prose and fact.content not in seen:
                seen.add(fact.content)
                told.append(fact)
        return told


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _facts(value: Any) -> Iterator[Fact]:
    found = _walk(value, (), None, "", 0)
    for _, fact in zip(range(_MAX_FACTS), found, strict=False):
        yield fact


def _walk(value: Any, path: tuple[str, ...], number: int | None, source: str, depth: int) -> Iterator[Fact]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, dict):
        yield from _walk_object(value, path, number, source, depth)
    elif isinstance(value, list):
        for position, entry in enumerate(value, start=1):
            yield from _walk(entry, path, position, source, depth + 1)
    elif isinstance(value, str) and value.strip():
        yield Fact(path=path, value=value[:_MAX_TEXT_CHARS], number=number, source=source)
    elif isinstance(value, bool | int | float) and abs(value) < 1e15:
        yield Fact(path=path, value=value, number=number, source=source)


def _walk_object(
    value: dict[str, Any], path: tuple[str, ...], number: int | None, source: str, depth: int
) -> Iterator[Fact]:
    # Only entries of a list are numbered facts; elsewhere a number is a fact of its own.
    names = () if number is None else ("n", "number", "no", "index", "nr")
    own = next((value[name] for name in names if isinstance(value.get(name), int)), None)
    says = value.get("source")
    says = says[:100] if isinstance(says, str) else source
    for name, inner in value.items():
        yield from _walk(inner, (*path, str(name)), number if own is None else own, says, depth + 1)


def name_words(name: str) -> frozenset[str]:
    """The stems of a property's name: `talking_points` is talk and point."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return frozenset(stem(word) for word in all_words(spaced))
