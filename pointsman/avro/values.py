"""Between a payload and the value that Avro writes, by the Avro schema. Pure.

A payload comes back as it was, whatever it holds: a property that does not fit its field travels as JSON in the
record's `_other`, and a payload that cannot be said in the schema at all is not written with it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from pointsman.avro.shapes import OTHER

Convert = Callable[[Any], Any]

MOST_NODES: Final = 5_000
"""Types in a schema, each counted as often as it is used."""
DEEPEST: Final = 32
_WHOLE: Final = {"int": 31, "long": 63}


class UnfitError(Exception):
    """The value cannot be said in that type."""


class UnusableSchemaError(Exception):
    """The schema is none that payloads can be read with; the text says why."""


class Reading:
    """What makes a payload of what Avro has read.

    Args:
        schema: the Avro schema, a record.

    Raises:
        UnusableSchemaError: it refers to itself, or is so made that few bytes would be read as very much.
    """

    def __init__(self, schema: Any) -> None:
        self._nodes = 0
        self._convert = self._record(schema, {}, 0)[0]

    def __call__(self, value: Any) -> Any:
        """The payload.

        Raises:
            ValueError: a text that should be JSON is none.
        """
        return self._convert(value)

    def _type(self, kind: Any, named: dict[str, Any], depth: int) -> tuple[Convert, int]:
        """How to convert a value of that type, and how many bytes it takes at least."""
        self._nodes += 1
        if self._nodes > MOST_NODES or depth > DEEPEST:
            raise UnusableSchemaError("the schema is too large, or refers to itself")
        if isinstance(kind, str):
            return self._type(named[kind], named, depth + 1) if kind in named else (_as_it_is, int(kind != "null"))
        if isinstance(kind, list):
            return self._union(kind, named, depth)
        match kind.get("type"):
            case "record":
                return self._record(kind, named, depth)
            case "array" | "map" as container:
                return self._container(kind, "items" if container == "array" else "values", named, depth)
            case "string" if kind.get("logicalType") == "json":
                return json.loads, 1
            case "fixed":
                return _as_it_is, int(kind["size"])
            case "enum":
                return _as_it_is, 1
            case inner:
                return self._type(inner, named, depth + 1)

    def _union(self, kind: list[Any], named: dict[str, Any], depth: int) -> tuple[Convert, int]:
        converts = [self._type(branch, named, depth + 1)[0] for branch in kind if branch != "null"]
        if all(convert is _as_it_is for convert in converts):
            return _as_it_is, 1
        if len(converts) > 1:
            raise UnusableSchemaError(
                "the schema leaves a choice between several types of which one is a record or JSON"
            )
        convert = converts[0]
        return lambda value: None if value is None else convert(value), 1

    def _container(self, kind: Any, part: str, named: dict[str, Any], depth: int) -> tuple[Convert, int]:
        convert, least = self._type(kind[part], named, depth + 1)
        if part == "values":
            if convert is _as_it_is:
                return _as_it_is, 1
            return lambda value: {name: convert(inner) for name, inner in value.items()}, 1
        if least < 1:
            raise UnusableSchemaError("the schema has a list of items that take no bytes")
        return (_as_it_is if convert is _as_it_is else lambda value: [convert(item) for item in value]), 1

    def _record(self, kind: Any, named: dict[str, Any], depth: int) -> tuple[Convert, int]:
        if not isinstance(kind, Mapping) or kind.get("type") != "record":
            raise UnusableSchemaError("the schema is no record")
        # fastavro's parser gives types their full names.
        named[str(kind["name"])] = kind
        fields, least = [], 0
        for field in kind["fields"]:
            convert, bytes_at_least = self._type(field["type"], named, depth + 1)
            is_optional = "default" in field and field["default"] is None
            fields.append((field["name"], convert, is_optional))
            least += bytes_at_least
        return (lambda value: _members(value, fields)), least


class Writing:
    """What makes a value for Avro of a payload.

    Args:
        schema: the Avro schema, a record.
    """

    def __init__(self, schema: Any) -> None:
        self._convert = _fitted(schema)

    def __call__(self, payload: Any) -> Any:
        """The value.

        Raises:
            UnfitError: the payload cannot be said in this schema.
        """
        return self._convert(payload)


def _as_it_is(value: Any) -> Any:
    return value


def _members(value: Mapping[str, Any], fields: list[tuple[str, Convert, bool]]) -> dict[str, Any]:
    payload: dict[str, Any] = {}
    for name, convert, is_optional in fields:
        said = value[name]
        if said is None and is_optional:
            continue
        if name == OTHER:
            payload.update(convert(said))
        else:
            payload[name] = convert(said)
    return payload


def _fitted(kind: Any) -> Convert:
    if isinstance(kind, list):
        return _one_of([_fitted(branch) for branch in kind])
    if isinstance(kind, str):
        return _PLAIN.get(kind, _never)
    match kind.get("type"):
        case "record":
            return _record(kind)
        case "array":
            convert = _fitted(kind["items"])
            return lambda value: [convert(item) for item in _be(value, list)]
        case "map":
            inner = _fitted(kind["values"])
            return lambda value: {_text(name): inner(each) for name, each in _be(value, dict).items()}
        case "string" if kind.get("logicalType") == "json":
            return _json
        case "enum":
            symbols = frozenset(kind["symbols"])
            return lambda value: value if isinstance(value, str) and value in symbols else _never(value)
        case other:
            return _PLAIN.get(str(other), _never) if "logicalType" not in kind else _never


def _record(kind: Any) -> Convert:
    fields = [(f["name"], _fitted(f["type"]), "default" in f and f["default"] is None) for f in kind["fields"]]
    names = frozenset(name for name, _, _ in fields)
    has_other = OTHER in names

    def convert(value: Any) -> dict[str, Any]:
        members = _be(value, dict)
        said: dict[str, Any] = {}
        rest = {name: inner for name, inner in members.items() if name not in names or name == OTHER}
        for name, fit, is_optional in fields:
            if name == OTHER:
                continue
            if name not in members:
                said[name] = None if is_optional else _never(None)
                continue
            try:
                # Null in a field that may be left out would be read as left out.
                said[name] = _never(None) if is_optional and members[name] is None else fit(members[name])
            except UnfitError:
                if not (is_optional and has_other):
                    raise
                said[name], rest[name] = None, members[name]
        if rest and not has_other:
            raise UnfitError
        return {**said, OTHER: _json(rest) if rest else None} if has_other else said

    return convert


def _one_of(converts: list[Convert]) -> Convert:
    def convert(value: Any) -> Any:
        for each in converts:
            try:
                return each(value)
            except UnfitError:
                continue
        raise UnfitError

    return convert


def _never(_: Any) -> Any:
    raise UnfitError


def _be(value: Any, kind: type) -> Any:
    return value if isinstance(value, kind) else _never(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else _never(value)


def _whole(bits: int) -> Convert:
    def convert(value: Any) -> Any:
        fits = isinstance(value, int) and not isinstance(value, bool) and -(2**bits) <= value < 2**bits
        return value if fits else _never(value)

    return convert


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise UnfitError from None


_PLAIN: Final[Mapping[str, Convert]] = {
    "null": lambda value: value if value is None else _never(value),
    "string": _text,
    "boolean": lambda value: _be(value, bool),
    "double": lambda value: _be(value, float),
    **{name: _whole(bits) for name, bits in _WHOLE.items()},
}
