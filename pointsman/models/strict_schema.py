"""OpenAI's strict structured outputs take a subset of JSON Schema: say a contract in that subset where it can be said.

What is done:

- an optional property becomes a required one that may be null; `without_nulls` takes the nulls out of the answer again
- rules that strict mode does not take or that servers disagree on (lengths of texts, unusual formats, `uniqueItems`)
  move into the description as words, so that the model still knows them
- a contract that cannot be said (open objects, `allOf`, `oneOf`, `not`, conditions, a root that is no object) is sent
  as it is with `strict: false`

Either way the answer is checked against the contract itself afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

_KEPT: Final = frozenset({
    "title", "description", "enum", "const", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum",
    "multipleOf", "minItems", "maxItems",
})  # fmt: skip
_IGNORED: Final = frozenset(
    {"$schema", "$id", "$comment", "default", "examples", "deprecated", "readOnly", "writeOnly"}
)
_FORMATS: Final = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"})
_WORDS: Final = {
    "minLength": "At least {} characters.",
    "maxLength": "At most {} characters.",
    "uniqueItems": "No entry twice.",
    "minProperties": "At least {} properties.",
    "maxProperties": "At most {} properties.",
}
_JSON_KINDS: Final = {str: "string", bool: "boolean", int: "integer", float: "number"}
_STRUCTURE: Final = frozenset({
    "type", "properties", "required", "additionalProperties", "items", "anyOf", "$ref", "$defs", "format",
})  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class SentSchema:
    """A schema in the form in which the model gets it.

    Attributes:
        schema: what is sent.
        strict: whether the server is told to keep it strictly.
    """

    schema: dict[str, Any]
    strict: bool


def sent_schema(contract: dict[str, Any]) -> SentSchema:
    """`contract` in strict mode's subset, or unchanged and not strict."""
    if contract.get("type") != "object" or "anyOf" in contract:
        return SentSchema(schema=contract, strict=False)
    try:
        return SentSchema(schema=_translated(contract), strict=True)
    except _CannotBeSaidError:
        return SentSchema(schema=contract, strict=False)


def without_nulls(value: Any) -> Any:
    """`value` without the object properties that are null, at any depth."""
    if isinstance(value, dict):
        return {name: without_nulls(inner) for name, inner in value.items() if inner is not None}
    return [without_nulls(inner) for inner in value] if isinstance(value, list) else value


class _CannotBeSaidError(Exception):
    """Strict mode has no words for this contract."""


def _translated(schema: Any) -> dict[str, Any]:
    if not isinstance(schema, dict) or set(schema) - _KEPT - _IGNORED - _STRUCTURE - set(_WORDS):
        raise _CannotBeSaidError
    if "$ref" in schema:
        return _reference(schema)
    sent = {keyword: value for keyword, value in schema.items() if keyword in _KEPT}
    words = [text.format(schema[keyword]) for keyword, text in _WORDS.items() if schema.get(keyword)]
    sent.update(_typed(schema, words))
    if words:
        sent["description"] = " ".join([*filter(None, [sent.get("description")]), *words])
    return sent


def _reference(schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema["$ref"]
    # Other places move when optional properties become nullable; strict mode wants the reference to stand alone.
    is_definition = isinstance(reference, str) and reference.startswith("#/$defs/") and reference.count("/") == 2
    if not is_definition or set(schema) - _IGNORED - {"$ref", "title", "description"}:
        raise _CannotBeSaidError
    return {"$ref": reference}


def _typed(schema: dict[str, Any], words: list[str]) -> dict[str, Any]:
    sent: dict[str, Any] = {"type": schema["type"]} if "type" in schema else {}
    if "format" in schema:
        if schema["format"] in _FORMATS:
            sent["format"] = schema["format"]
        else:
            words.append(f"Format: {schema['format']}.")
    if "anyOf" in schema:
        sent["anyOf"] = [_translated(branch) for branch in schema["anyOf"]]
    if "$defs" in schema:
        sent["$defs"] = {name: _translated(inner) for name, inner in schema["$defs"].items()}
    kinds = _kinds(schema)
    if "object" in kinds or "properties" in schema:
        sent.update(_object(schema))
    if "array" in kinds:
        sent["items"] = _translated(schema.get("items"))
    if not kinds and "anyOf" not in schema:
        sent["type"] = _kind_of_constants(schema)
    return sent


def _kind_of_constants(schema: dict[str, Any]) -> str:
    """The one type of all constants: strict mode wants every schema to name its type."""
    constants = schema.get("enum", [schema["const"]] if "const" in schema else [])
    kinds = {_JSON_KINDS.get(type(constant)) for constant in constants}
    kind = kinds.pop() if len(kinds) == 1 else None
    if kind is None:
        raise _CannotBeSaidError
    return kind


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    properties = schema.get("properties")
    required = set(schema.get("required", ()))
    # An open object may be answered with no more than its properties; one without any has nothing to be answered with.
    if not properties or isinstance(schema.get("additionalProperties"), dict) or required - set(properties):
        raise _CannotBeSaidError
    sent = {name: _property(inner, optional=name not in required) for name, inner in properties.items()}
    return {"properties": sent, "required": list(sent), "additionalProperties": False}


def _property(schema: Any, *, optional: bool) -> dict[str, Any]:
    sent = _translated(schema)
    if not optional or "null" in _kinds(sent):
        return sent
    described = {"description": sent.pop("description")} if "description" in sent else {}
    return {**described, "anyOf": [sent, {"type": "null"}]}


def _kinds(schema: dict[str, Any]) -> list[str]:
    kinds = schema.get("type", [])
    return [kinds] if isinstance(kinds, str) else list(kinds)
