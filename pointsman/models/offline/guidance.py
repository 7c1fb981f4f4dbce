"""What a system turn says about options and about the parts of the answer; read once per system turn and schema."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

from pointsman.models.offline.words import all_words, content_words, one_line, with_relatives

_NEGATIVE: Final = re.compile(r"counter|negative|avoid|exclude|\bnot\b", re.I)
_NUMBER: Final = re.compile(r"([^\W\d_]+)(?:\s+(?:is|of|about))?\s*[:=]?\s*(-?\d+(?:\.\d+)?)")
_OTHERWISE: Final = re.compile(
    r"\b(otherwise|every other case|all other cases|anything else|everything else|(if|when|where) (no|nothing))\b", re.I
)
_PART: Final = re.compile(r"^([a-z][A-Za-z0-9_]*):\s", re.M)
_MAX_OBJECTS: Final = 200


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One text that tells what an option is like.

    Attributes:
        text: the text.
        words: its content words.
        phrase: all its words in order, between blanks, for finding phrases.
        numbers: the numbers in it, each by the stem of the word before it.
        is_example: a whole message, not a description.
    """

    text: str
    words: frozenset[str]
    phrase: str
    numbers: tuple[tuple[str, float], ...]
    is_example: bool

    @staticmethod
    def of(text: str, *, is_example: bool) -> Sample:
        """Read `text`."""
        numbers = [(all_words(word)[-1], float(number)) for word, number in _NUMBER.findall(text.casefold())]
        return Sample(
            text=one_line(text),
            words=with_relatives(content_words(text)),
            phrase=f" {' '.join(all_words(text))} ",
            numbers=tuple(numbers),
            is_example=is_example,
        )


@dataclass(frozen=True, kw_only=True)
class Option:
    """One value of an enum, and all that is said about it.

    Attributes:
        value: the value.
        samples: texts that belong to it.
        counter_samples: texts that belong elsewhere.
        references: type names and other words to be met exactly.
        is_described: the system turn holds an object about it.
        is_otherwise: it is what is left when nothing else holds.
    """

    value: str
    samples: tuple[Sample, ...] = ()
    counter_samples: tuple[Sample, ...] = ()
    references: frozenset[str] = field(default=frozenset())
    is_described: bool = False
    is_otherwise: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class OptionSet:
    """All values of an enum.

    Attributes:
        options: the values, each with what is said about it.
        weights: how much a word tells them apart, by stem (inverse document frequency).
        telling_references: those that not every described option shares; all of them when there is only one.
    """

    options: tuple[Option, ...]
    weights: dict[str, float]
    telling_references: frozenset[str]


@lru_cache(maxsize=256)
def options_for(values: tuple[str, ...], system: str, guidance: str) -> OptionSet:
    """What the system turn's JSON and the property's own guidance say about each value."""
    objects = _objects(system)
    options = tuple(_option(value, values, objects, guidance) for value in values)
    described = [option.references for option in options if option.is_described]
    shared: frozenset[str] = frozenset.intersection(*described) if len(described) > 1 else frozenset()
    telling = frozenset().union(*described) - shared
    return OptionSet(options=options, weights=_weights(options), telling_references=telling)


@lru_cache(maxsize=256)
def part_guidance(system: str, name: str) -> str:
    """What the system turn says under `name:` at a line's start, up to the next such line."""
    starts = list(_PART.finditer(system))
    for position, start in enumerate(starts):
        if start.group(1) == name:
            end = starts[position + 1].start() if position + 1 < len(starts) else len(system)
            return one_line(system[start.end() : end].split("\n\n")[0])
    return ""


def _weights(options: tuple[Option, ...]) -> dict[str, float]:
    documents = [frozenset(word for sample in option.samples for word in sample.words) for option in options]
    documents = [words for words in documents if words]
    every: frozenset[str] = frozenset().union(*documents)
    count = len(documents) + 1
    return {word: math.log(count / sum(word in words for words in documents)) for word in every}


def _option(value: str, values: tuple[str, ...], objects: tuple[dict[str, Any], ...], guidance: str) -> Option:
    about = [each for each in objects if value in each.values() or isinstance(each.get(value), dict)]
    if about:
        return _described(value, about[0].get(value) if isinstance(about[0].get(value), dict) else about[0])
    clause = _clause(value, values, guidance)
    samples = [Sample.of(value.replace("_", " "), is_example=False)]
    if clause:
        samples.append(Sample.of(clause, is_example=False))
    return Option(value=value, samples=tuple(samples), is_otherwise=bool(_OTHERWISE.search(clause)))


def _described(value: str, about: Any) -> Option:
    samples: list[Sample] = []
    counter_samples: list[Sample] = []
    references: set[str] = set()
    for name, text, in_list in _texts(about, ""):
        if _NEGATIVE.search(name):
            counter_samples.append(Sample.of(text, is_example=True))
        elif " " not in text.strip():
            references.add(text)
        else:
            samples.append(Sample.of(text, is_example=in_list or "example" in name))
    return Option(
        value=value,
        samples=tuple(samples),
        counter_samples=tuple(counter_samples),
        references=frozenset(references - {value}),
        is_described=True,
    )


def _texts(value: Any, name: str, *, in_list: bool = False) -> Iterator[tuple[str, str, bool]]:
    if isinstance(value, str):
        yield name, value, in_list
    elif isinstance(value, list):
        for entry in value:
            yield from _texts(entry, name, in_list=True)
    elif isinstance(value, dict):
        for inner_name, inner in value.items():
            yield from _texts(inner, f"{name} {inner_name}".strip().replace("_", " "), in_list=in_list)


def _clause(value: str, values: tuple[str, ...], guidance: str) -> str:
    """What follows the value in the guidance, up to the next value, semicolon or full stop."""
    mark = re.search(
        rf"[\"'“`]{re.escape(value)}[\"'”`]|\b{re.escape(value)}\b(?=\s*(?::|when|if|for|in|means|=))", guidance
    )
    if not mark:
        return ""
    rest = guidance[mark.end() :]
    others = "|".join(re.escape(other) for other in values if other != value)
    end = re.search(rf";|\.\s|\.$|[\"'“`](?:{others})[\"'”`]" if others else r";|\.\s|\.$", rest)
    return rest[: end.start()] if end else rest


@lru_cache(maxsize=128)
def _objects(system: str) -> tuple[dict[str, Any], ...]:
    """Every JSON object in the text, outermost first."""
    found: list[dict[str, Any]] = []
    decoder = json.JSONDecoder()
    position = 0
    while (start := _next_bracket(system, position)) >= 0:
        try:
            value, position = decoder.raw_decode(system, start)
        except (ValueError, RecursionError):
            position = start + 1
            continue
        found.extend(_inner_objects(value))
    return tuple(found[:_MAX_OBJECTS])


def _next_bracket(text: str, position: int) -> int:
    starts = [start for start in (text.find("{", position), text.find("[", position)) if start >= 0]
    return min(starts, default=-1)


def _inner_objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _inner_objects(inner)
