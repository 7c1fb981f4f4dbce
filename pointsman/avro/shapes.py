"""What a JSON Schema contract says about a payload, as far as Avro can say it, too. Pure.

An event type may stand in several contracts, of those who write it and of those who take it. Its shape is what all of
them say together; where they differ, the shape is the wider one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pointsman.definitions.model import JsonSchema

OTHER: Final = "_other"
"""Name of the Avro field that holds, as JSON text, the properties that no field can hold."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,99}")
_DEEPEST: Final = 8


class Plain(StrEnum):
    """A value without parts; `JSON` is any value, as text."""

    TEXT = "string"
    WHOLE = "long"
    FLAG = "boolean"
    NUMBER = "number"
    JSON = "json"


@dataclass(frozen=True, kw_only=True)
class ListOf:
    """A list.

    Attributes:
        items: shape of each item.
    """

    items: Shape


@dataclass(frozen=True, kw_only=True)
class MapOf:
    """An object of any names.

    Attributes:
        values: shape of each value.
    """

    values: Shape


@dataclass(frozen=True, kw_only=True)
class Fields:
    """An object of named members.

    Attributes:
        members: by property name.
        is_open: whether it may hold others.
    """

    members: Mapping[str, Member]
    is_open: bool


Shape = Plain | ListOf | MapOf | Fields


@dataclass(frozen=True, kw_only=True)
class Member:
    """A property.

    Attributes:
        shape: its value's shape.
        is_required: it must be there.
        is_nullable: its value may be null.
    """

    shape: Shape
    is_required: bool
    is_nullable: bool = False


_PLAIN: Final = {"string": Plain.TEXT, "integer": Plain.WHOLE, "boolean": Plain.FLAG, "number": Plain.NUMBER}


def fields_of(contract: JsonSchema, depth: int = 0) -> Fields:
    """The members that `contract`, which describes an object, names."""
    properties = contract.get("properties", {})
    required = set(contract.get("required", ()))
    members = {
        name: _member(schema, is_required=name in required, depth=depth)
        for name, schema in properties.items()
        if _NAME.fullmatch(name) and name != OTHER
    }
    is_open = contract.get("additionalProperties", True) is not False or "patternProperties" in contract
    return Fields(members=members, is_open=is_open or len(members) < len(properties))


def merged(one: Fields, other: Fields) -> Fields:
    """What both say: required is what both require, and where they differ about a type, it is any JSON."""
    names = {**one.members, **other.members}
    members = {name: _merged_member(one.members.get(name), other.members.get(name)) for name in names}
    return Fields(members=members, is_open=one.is_open or other.is_open)


def _member(schema: Any, *, is_required: bool, depth: int) -> Member:
    shape, is_nullable = _shape(schema, depth)
    # As text, null is a value like any other.
    return Member(shape=shape, is_required=is_required, is_nullable=is_nullable and shape is not Plain.JSON)


def _shape(schema: Any, depth: int) -> tuple[Shape, bool]:
    if not isinstance(schema, Mapping) or depth >= _DEEPEST:
        return Plain.JSON, False
    kinds = _kinds(schema)
    is_nullable = "null" in kinds
    kinds -= {"null"}
    if kinds == {"integer", "number"}:
        return Plain.NUMBER, is_nullable
    if len(kinds) != 1:
        return Plain.JSON, is_nullable
    kind = kinds.pop()
    if kind in _PLAIN:
        return _PLAIN[kind], is_nullable
    return (_list(schema, depth) if kind == "array" else _object(schema, depth)), is_nullable


def _kinds(schema: Mapping[str, Any]) -> set[str]:
    stated = schema.get("type")
    if stated is None:
        values = [schema["const"]] if "const" in schema else schema.get("enum", [])
        return {"string"} if values and all(isinstance(value, str) for value in values) else set()
    return set(stated) if isinstance(stated, list) else {stated}


def _list(schema: Mapping[str, Any], depth: int) -> Shape:
    items, is_nullable = _shape(schema.get("items"), depth + 1)
    # Of what cannot be said about the items, one text for the whole list is left.
    return Plain.JSON if is_nullable or items is Plain.JSON else ListOf(items=items)


def _object(schema: Mapping[str, Any], depth: int) -> Shape:
    if schema.get("properties"):
        return fields_of(dict(schema), depth + 1)
    values, is_nullable = _shape(schema.get("additionalProperties"), depth + 1)
    return Plain.JSON if is_nullable or values is Plain.JSON else MapOf(values=values)


def _merged_member(one: Member | None, other: Member | None) -> Member:
    if one is None or other is None:
        only = one or other
        if only is None:
            message = "a merged member stands in one of the two"
            raise ValueError(message)
        return Member(shape=only.shape, is_required=False, is_nullable=only.is_nullable)
    shape = _merged_shape(one.shape, other.shape)
    return Member(
        shape=shape,
        is_required=one.is_required and other.is_required,
        is_nullable=(one.is_nullable or other.is_nullable) and shape is not Plain.JSON,
    )


def _merged_shape(one: Shape, other: Shape) -> Shape:
    if one == other:
        return one
    if isinstance(one, Plain) and isinstance(other, Plain) and {one, other} == {Plain.WHOLE, Plain.NUMBER}:
        return Plain.NUMBER
    if isinstance(one, Fields) and isinstance(other, Fields):
        return merged(one, other)
    if isinstance(one, ListOf) and isinstance(other, ListOf):
        items = _merged_shape(one.items, other.items)
        return Plain.JSON if items is Plain.JSON else ListOf(items=items)
    if isinstance(one, MapOf) and isinstance(other, MapOf):
        values = _merged_shape(one.values, other.values)
        return Plain.JSON if values is Plain.JSON else MapOf(values=values)
    return Plain.JSON
