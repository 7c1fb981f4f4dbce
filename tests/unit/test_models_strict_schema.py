"""Contracts said in the subset of JSON Schema that strict structured outputs take."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pointsman.models.offline.completion import schema_problem
from pointsman.models.strict_schema import sent_schema, without_nulls


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def test_an_optional_property_becomes_required_and_nullable() -> None:
    sent = sent_schema({"type": "object", "properties": {"a": {"type": "string", "description": "An a."}}})
    assert sent.strict
    assert sent.schema["required"] == ["a"]
    assert sent.schema["properties"]["a"] == {"description": "An a.", "anyOf": [{"type": "string"}, {"type": "null"}]}


def test_lengths_of_texts_become_words() -> None:
    sent = sent_schema(closed(a={"type": "string", "maxLength": 300, "minLength": 2, "description": "An a."}))
    assert sent.schema["properties"]["a"] == {
        "type": "string",
        "description": "An a. At least 2 characters. At most 300 characters.",
    }


def test_an_enum_without_a_type_gets_its_type() -> None:
    sent = sent_schema(closed(a={"enum": ["x", "y"]}, b={"const": 3}))
    assert sent.schema["properties"] == {
        "a": {"type": "string", "enum": ["x", "y"]},
        "b": {"type": "integer", "const": 3},
    }


def test_lists_and_definitions_are_translated_too() -> None:
    item = {"type": "object", "properties": {"b": {"type": "integer", "minimum": 1}}, "required": ["b"]}
    sent = sent_schema(
        {**closed(a={"type": "array", "items": {"$ref": "#/$defs/i"}, "maxItems": 3}), "$defs": {"i": item}}
    )
    assert sent.strict
    assert sent.schema["$defs"]["i"]["additionalProperties"] is False
    assert sent.schema["properties"]["a"]["maxItems"] == 3


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object"},
        {"type": "object", "properties": {}},
        closed(a={"type": "object"}),
        closed(a={"type": "object", "properties": {"b": {}}, "additionalProperties": {"type": "string"}}),
        closed(a={"oneOf": [{"type": "string"}, {"type": "integer"}]}),
        closed(a={"not": {"type": "string"}}),
        closed(a={"type": "array"}),
        closed(a=True),
        closed(a={}),
        closed(a={"enum": ["x", 1]}),
        {"anyOf": [closed(a={"type": "string"})]},
        {"type": "array", "items": {"type": "string"}},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a", "b"]},
        {**closed(a={"type": "string"}, b={"$ref": "#/properties/a"})},
        {**closed(a={"$ref": "#/$defs/b", "maxLength": 3}), "$defs": {"b": {"type": "string"}}},
        {"type": "object", "patternProperties": {"a": {}}},
    ],
)
def test_a_contract_that_strict_mode_cannot_say_is_sent_as_it_is_and_not_strict(schema: dict[str, Any]) -> None:
    sent = sent_schema(schema)
    assert (sent.strict, sent.schema) == (False, schema)


@pytest.mark.parametrize(
    "schema",
    [
        closed(a={"type": ["string", "null"], "format": "uri"}, b={"type": "number", "maximum": 1}),
        closed(a={"anyOf": [{"type": "string"}, closed(b={"type": "boolean"})]}),
        {"type": "object", "properties": {"a": {"enum": ["x"]}, "b": {"type": "array", "items": {"const": 1}}}},
    ],
)
def test_what_is_sent_as_strict_keeps_the_rules_of_strict_mode(schema: dict[str, Any]) -> None:
    sent = sent_schema(schema)
    assert sent.strict
    assert schema_problem(json.dumps(sent.schema), strict=True) is None


def test_nulls_are_taken_out_at_any_depth_but_not_from_lists() -> None:
    assert without_nulls({"a": None, "b": [{"c": None, "d": 1}, None]}) == {"b": [{"d": 1}, None]}
