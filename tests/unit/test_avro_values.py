from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.avro.framing import PayloadSchema, framed, schema_id
from pointsman.avro.schema import schema_of
from pointsman.avro.shapes import OTHER
from pointsman.avro.values import UnusableSchemaError
from pointsman.contracts import Contract
from pointsman.errors import ErrorReason, InvalidEnvelopeError

NAMES = st.sampled_from(["a", "b", "first name", "c1", OTHER])
JSON_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)


def objects(parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"type": st.just("object"), "properties": st.dictionaries(NAMES, parts, max_size=4)},
        optional={"required": st.lists(NAMES, max_size=2, unique=True), "additionalProperties": st.booleans()},
    )


PLAIN = st.sampled_from(["string", "integer", "number", "boolean", "null"])
CONTRACT_PARTS = st.recursive(
    st.just({})
    | st.builds(lambda kind: {"type": kind}, PLAIN)
    | st.builds(lambda kind: {"type": [kind, "null"]}, PLAIN)
    | st.just({"enum": ["x", "y"]})
    | st.just({"oneOf": [{"type": "string"}, {"type": "integer"}]}),
    lambda inner: (
        st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(lambda values: {"type": "object", "additionalProperties": values}, inner)
        | objects(inner)
    ),
    max_leaves=6,
)
OBJECTS = objects(CONTRACT_PARTS)
PAYLOADS = st.dictionaries(NAMES, JSON_VALUES, max_size=4)


def of(*contracts: dict[str, Any]) -> PayloadSchema:
    return PayloadSchema(json.dumps(schema_of("lead.scored", contracts)))


def back(schema: PayloadSchema, payload: dict[str, Any]) -> dict[str, Any]:
    body = schema.write(payload)
    assert body is not None
    return schema.read(framed(1, body))


def exactly(value: Any) -> str:
    """Also tells 1 from 1.0 and from true."""
    return json.dumps(value, sort_keys=True)


@given(OBJECTS, PAYLOADS)
def test_a_payload_comes_back_as_it_was_or_is_not_written(contract: dict[str, Any], payload: dict[str, Any]) -> None:
    schema = of(contract)
    body = schema.write(payload)
    if body is not None:
        assert exactly(schema.read(framed(1, body))) == exactly(payload)


@given(OBJECTS, OBJECTS, PAYLOADS)
def test_so_it_does_with_the_schema_of_two_contracts(one: Any, other: Any, payload: dict[str, Any]) -> None:
    schema = of(one, other)
    body = schema.write(payload)
    if body is not None:
        assert exactly(schema.read(framed(1, body))) == exactly(payload)


@given(st.dictionaries(NAMES, CONTRACT_PARTS, max_size=4), PAYLOADS)
def test_where_nothing_is_required_and_all_is_open_every_payload_is_written(
    properties: dict[str, Any], payload: dict[str, Any]
) -> None:
    assert of({"type": "object", "properties": properties}).write(payload) is not None


@given(st.binary(max_size=60), OBJECTS)
def test_any_bytes_are_a_payload_or_refused(body: bytes, contract: dict[str, Any]) -> None:
    try:
        payload = of(contract).read(framed(1, body))
    except InvalidEnvelopeError as error:
        assert error.reason is ErrorReason.INVALID_AVRO  # noqa: PT017
    else:
        assert isinstance(payload, dict)


def test_a_payload_that_keeps_its_contract_is_written_in_its_fields() -> None:
    contract = {
        "type": "object",
        "required": ["lead_id", "score", "company"],
        "additionalProperties": False,
        "properties": {
            "lead_id": {"type": "string"},
            "score": {"type": "integer"},
            "share": {"type": "number"},
            "company": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
            "tags": {"type": "array", "items": {"type": "string"}},
            "labels": {"type": "object", "additionalProperties": {"type": "boolean"}},
            "note": {"type": ["string", "null"]},
        },
    }
    payload = {
        "lead_id": "7", "score": 3, "share": 0.5, "company": {"name": "Acme", "size": 3}, "tags": ["a"],
        "labels": {"x": True},
    }  # fmt: skip
    Contract(contract).check(payload)
    schema = of(contract)
    assert back(schema, payload) == payload
    assert b"Acme" in (schema.write(payload) or b"")
    assert exactly(back(schema, {**payload, "share": 5})) == exactly({**payload, "share": 5})


def test_a_payload_without_a_required_field_is_not_written() -> None:
    schema = of({"type": "object", "required": ["a"], "properties": {"a": {"type": "string"}}})
    assert schema.write({"b": "x"}) is None
    assert schema.write({"a": None}) is None
    assert schema.write({"a": 2}) is None


def test_a_closed_contract_has_no_room_for_more() -> None:
    schema = of({"type": "object", "additionalProperties": False, "properties": {"a": {"type": "string"}}})
    assert schema.write({"b": "x"}) is None


def test_half_a_surrogate_pair_is_not_written() -> None:
    assert of({"type": "object", "properties": {"a": {"type": "string"}}}).write({"a": "\ud800"}) is None


def test_a_frame_is_a_zero_byte_and_four_of_the_id() -> None:
    assert framed(258, b"x") == b"\x00\x00\x00\x01\x02x"
    assert schema_id(framed(258, b"x")) == 258
    assert schema_id(b'{"a": 1}') is None
    assert schema_id(b"\x00\x00") is None


def test_bytes_behind_the_value_are_refused() -> None:
    schema = of({"type": "object"})
    with pytest.raises(InvalidEnvelopeError, match="left over"):
        schema.read(framed(1, (schema.write({}) or b"") + b"\x00"))


def record(*fields: Any) -> str:
    return json.dumps({"type": "record", "name": "foreign", "fields": [*fields]})


def test_a_schema_of_another_team_is_read_too() -> None:
    schema = PayloadSchema(record({"name": "kind", "type": {"type": "enum", "name": "k", "symbols": ["A", "B"]}}))
    assert schema.read(framed(1, b"\x02")) == {"kind": "B"}


@pytest.mark.parametrize(
    "field",
    [
        {"name": "a", "type": {"type": "array", "items": "null"}},
        {"name": "a", "type": {"type": "array", "items": {"type": "record", "name": "empty", "fields": []}}},
        {"name": "next", "type": ["null", "foreign"], "default": None},
    ],
)
def test_a_schema_with_which_few_bytes_are_read_as_very_much_is_refused(field: Any) -> None:
    with pytest.raises(UnusableSchemaError):
        PayloadSchema(record(field))


def test_a_schema_that_doubles_itself_is_refused() -> None:
    kind: Any = {"type": "record", "name": "r0", "fields": []}
    for level in range(1, 20):
        fields = [{"name": "a", "type": kind}, {"name": "b", "type": f"r{level - 1}"}]
        kind = {"type": "record", "name": f"r{level}", "fields": fields}
    with pytest.raises(UnusableSchemaError, match="too large"):
        PayloadSchema(json.dumps(kind))


@pytest.mark.parametrize("text", ["{", '"string"', '{"type": "record", "fields": []}', "[]"])
def test_what_is_no_record_schema_is_refused(text: str) -> None:
    with pytest.raises(UnusableSchemaError):
        PayloadSchema(text)


def test_what_json_cannot_say_is_refused() -> None:
    schema = PayloadSchema(record({"name": "a", "type": "double"}))
    with pytest.raises(InvalidEnvelopeError, match="cannot be read"):
        schema.read(framed(1, struct.pack("<d", float("nan"))))
    octets = PayloadSchema(record({"name": "a", "type": "bytes"}))
    with pytest.raises(InvalidEnvelopeError, match="cannot be read"):
        octets.read(framed(1, b"\x02x"))
