"""Contracts are JSON Schema 2020-12, self-contained, and never repeat a value in an error."""

import pytest

from pointsman.contracts import Contract
from pointsman.errors import InvalidPayloadError

LEAD = {
    "type": "object",
    "required": ["email"],
    "properties": {"email": {"type": "string", "format": "email"}, "size": {"$ref": "#/$defs/count"}},
    "$defs": {"count": {"type": "integer", "minimum": 0}},
}


def test_a_payload_that_keeps_the_contract_passes() -> None:
    Contract(LEAD).check({"email": "a@b.example", "size": 3})


@pytest.mark.parametrize(
    ("payload", "place"),
    [({"email": "nobody"}, "email"), ({}, "the payload"), ({"email": "a@b.example", "size": -1}, "size")],
)
def test_a_violation_names_place_and_rule_but_no_value(payload: dict[str, object], place: str) -> None:
    with pytest.raises(InvalidPayloadError) as caught:
        Contract(LEAD).check(payload)
    assert place in str(caught.value)
    assert "nobody" not in str(caught.value)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"$ref": "https://example.com/other.json"},
        {"$ref": "#/$defs/missing"},
        {"properties": {"a": {"pattern": "("}}},
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(schema: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="contract"):
        Contract(schema)
