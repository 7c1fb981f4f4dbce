"""One YAML document as plain data, with the place of every key and value.

The file is read event by event instead of being constructed: so every finding has a line and a column, nothing that a
tag names is ever built, and an alias cannot multiply. Scalars follow the core schema of YAML 1.2, part 10.3 (`yes` is a
text there).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    CollectionEndEvent,
    DocumentStartEvent,
    Event,
    MappingStartEvent,
    ScalarEvent,
    SequenceStartEvent,
)
from ruamel.yaml.reader import ReaderError

from pointsman.definitions.problems import Problem

MAX_DEPTH: Final = 64
_MAX_WHOLE_NUMBER: Final = 2**63
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_HALF_CHARACTER: Final = re.compile(r"[\ud800-\udfff]")
_INT: Final = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NO_JSON_NUMBER: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A line and a column, both from 1."""

    line: int
    column: int


@dataclass(kw_only=True)
class Source:
    """A parsed file.

    Attributes:
        path: the file's name, as it stands in problems.
        text: the whole text.
        data: plain data; None when the file could not be read.
        keys: place of each mapping key, by its path.
        values: place of each value, by its path.
        literal: paths of literal block scalars (`|`), whose lines are the file's lines.
        problems: what is wrong with the YAML itself.
        spoilt: paths whose value could not be read; nothing more is to be said of them.
    """

    path: str
    text: str = ""
    data: Any = None
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)
    literal: set[Path] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    spoilt: set[Path] = field(default_factory=set)

    def key_place(self, path: Path) -> Place:
        """Where the key of `path` stands; else its value, else what encloses it."""
        return self.keys.get(path) or self.value_place(path)

    def value_place(self, path: Path) -> Place:
        """Where the value of `path` stands; else what encloses it."""
        for length in range(len(path), -1, -1):
            place = self.values.get(path[:length])
            if place:
                return place
        return Place(1, 1)

    def is_spoilt(self, path: Path) -> bool:
        """Whether `path` or something around it could not be read."""
        return any(path[:length] in self.spoilt for length in range(len(path) + 1))

    def problem(self, place: Place, message: str, *, warning: bool = False) -> Problem:
        """A finding about this file at `place`."""
        return Problem(
            path=self.path,
            line=place.line,
            column=place.column,
            message=message,
            severity="warning" if warning else "error",
        )


def parse(text: str, path: str) -> Source:
    """Read `text` as one YAML document; what is wrong with it is in the result's `problems`."""
    source = Source(path=path, text=text)
    try:
        _Builder(source).build(YAML(typ="safe", pure=True).parse(text))
    except _StopReading as stop:
        source.problems.append(source.problem(stop.place, stop.message))
    except MarkedYAMLError as error:
        source.problems.append(_syntax_problem(source, error))
    except ReaderError as error:
        message = f"the character U+{_code_point(error.character):04X} is not allowed in YAML: remove it"
        source.problems.append(source.problem(_place_of_offset(text, error.position), message))
    except (YAMLError, ValueError, OverflowError):
        # ruamel.yaml meets escapes such as "\U99999999" only while it scans, and says no place.
        message = "the file holds an escape that is no character"
        source.problems.append(source.problem(_place_of_escape(text), message))
    if source.data is None and not source.problems:
        source.problems.append(Problem(path=path, message="the file is empty: write an agent definition into it"))
    return source


class _StopReading(Exception):
    def __init__(self, place: Place, message: str) -> None:
        super().__init__(place, message)
        self.place = place
        self.message = message


class _Builder:
    def __init__(self, source: Source) -> None:
        self._source = source
        self._events: Iterator[Event] = iter(())

    def build(self, events: Iterator[Event]) -> None:
        """Take over the first document; a second one is refused."""
        self._events = events
        for event in events:
            if not isinstance(event, DocumentStartEvent):
                continue
            if self._source.values:
                raise _StopReading(_place(event), "a second document starts here: one file holds one agent")
            if event.version or event.tags:
                raise _StopReading(Place(1, 1), "directives such as %YAML are not used here: remove the line")
            self._source.data = self._value(next(events), ())

    def _value(self, event: Event, path: Path) -> Any:
        place = _place(event)
        self._source.values[path] = place
        if len(path) > MAX_DEPTH:
            raise _StopReading(place, f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(event, AliasEvent):
            return self._spoil(path, place, "aliases (*name) are not used here: write the value out")
        if getattr(event, "tag", None):
            self._spoil(path, place, "tags (!name) are not used here: write the plain value")
        if isinstance(event, MappingStartEvent):
            return self._mapping(path)
        if isinstance(event, SequenceStartEvent):
            return self._sequence(path)
        return self._scalar(event, path)

    def _mapping(self, path: Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for event in self._events:
            if isinstance(event, CollectionEndEvent):
                break
            key = self._key(event, path)
            inner = (*path, key)
            if key in result:
                first = self._source.keys[inner]
                message = f"{_short(key)} stands twice; first in line {first.line}: remove one"
                self._source.problems.append(self._source.problem(_place(event), message))
                # The repeated entry is read under a name of its own, so that the places of the first stay.
                self._value(next(self._events), (*path, f"{key} (again)"))
                continue
            self._source.keys[inner] = _place(event)
            result[key] = self._value(next(self._events), inner)
        return result

    def _key(self, event: Event, path: Path) -> str:
        place = _place(event)
        if not isinstance(event, ScalarEvent):
            raise _StopReading(place, "a key must be a text")
        if _HALF_CHARACTER.search(event.value):
            raise _StopReading(place, "an escape stands for half a character: write the character itself")
        if event.implicit[0] and not isinstance(_core(event.value), str):
            message = f"the key {_short(event.value)} must be a text: put it in quotes"
            self._spoil((*path, event.value), place, message)
        return str(event.value)

    def _sequence(self, path: Path) -> list[Any]:
        result: list[Any] = []
        for event in self._events:
            if isinstance(event, CollectionEndEvent):
                break
            result.append(self._value(event, (*path, len(result))))
        return result

    def _scalar(self, event: Any, path: Path) -> Any:
        if event.style == "|":
            self._source.literal.add(path)
        if _HALF_CHARACTER.search(event.value):
            return self._spoil(path, _place(event), "an escape stands for half a character: write the character itself")
        if not event.implicit[0]:
            return event.value
        try:
            return _core(event.value)
        except ValueError as error:
            return self._spoil(path, _place(event), str(error))

    def _spoil(self, path: Path, place: Place, message: str) -> None:
        self._source.spoilt.add(path)
        self._source.problems.append(self._source.problem(place, message))


def _core(text: str) -> Any:
    """A plain scalar by the core schema.

    Raises:
        ValueError: a number that JSON or 64 bits cannot hold.
    """
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    if _INT.fullmatch(text):
        return _whole_number(text)
    if _NO_JSON_NUMBER.fullmatch(text):
        raise ValueError("infinity and NaN are no JSON numbers")
    if _FLOAT.fullmatch(text):
        return _fraction(text)
    return text


def _fraction(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("the number is too large")
    return number


def _whole_number(text: str) -> int:
    if len(text) > 30:
        raise ValueError("the number does not fit into 64 bits")
    number = int(text, 0) if text[:2] in {"0o", "0x"} else int(text)
    if not -_MAX_WHOLE_NUMBER <= number < _MAX_WHOLE_NUMBER:
        raise ValueError("the number does not fit into 64 bits")
    return number


def _syntax_problem(source: Source, error: MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
    if "\\t" in (error.problem or ""):
        return source.problem(place, "a tab cannot indent YAML: use spaces")
    told = ", ".join(part for part in (error.problem, error.context) if part)
    return source.problem(place, f"not YAML: {told[:300]}")


def _code_point(character: int | str) -> int:
    return character if isinstance(character, int) else ord(character)


def _place(event: Event) -> Place:
    mark = event.start_mark
    return Place(mark.line + 1, mark.column + 1)


def _place_of_offset(text: str, offset: int) -> Place:
    before = text[:offset]
    return Place(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)


def _place_of_escape(text: str) -> Place:
    found = re.search(r"\\U", text)
    return _place_of_offset(text, found.start()) if found else Place(1, 1)


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
