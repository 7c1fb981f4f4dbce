"""From the contracts of an event type to its Avro schema, and from one version of that schema to the next. Pure.

| contract | Avro |
|---|---|
| `string`, or an enumeration of texts | `string` |
| `integer`, `boolean` | `long`, `boolean` |
| `number` | `[long, double]`, so that 5 stays 5 and 5.0 stays 5.0 |
| `object` with `properties` | record |
| `object` with `additionalProperties` of one type only | map |
| `array` with `items` of one type | array |
| anything else | JSON text: `{"type": "string", "logicalType": "json"}` |
| not required | a union with null, null when left out |
| properties that the contract does not name | together, as JSON text, in `_other` |
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import reduce
from typing import Any, Final

from pointsman.avro.shapes import OTHER, Fields, ListOf, MapOf, Member, Plain, Shape, fields_of, merged
from pointsman.definitions.model import JsonSchema

JSON_TEXT: Final = {"type": "string", "logicalType": "json"}
"""A text that is to be read as JSON; a reader that does not know this sees a text."""

AvroSchema = dict[str, Any]


def schema_of(event_type: str, contracts: Iterable[JsonSchema]) -> AvroSchema:
    """The Avro record of payloads of `event_type`.

    Args:
        event_type: the type; its last part is the record's name, what stands before it the namespace.
        contracts: every contract of that type, at least one.
    """
    return _record(event_type, reduce(merged, (fields_of(contract) for contract in contracts)))


def following(registered: AvroSchema, wanted: AvroSchema) -> AvroSchema:
    """`wanted`, as the next version of `registered`: a field that could be left out may still be left out.

    Which fields are required depends on all contracts of a type, so it must not change with the removal of one of them.
    """
    return {
        **wanted,
        "fields": [_following_field(_field(registered, field["name"]), field) for field in wanted["fields"]],
    }


def changes(registered: AvroSchema, wanted: AvroSchema, within: str = "") -> Iterator[tuple[str, str]]:
    """What in `wanted` cannot read what `registered` wrote: the path of each such field, and what is wrong with it."""
    for field in wanted["fields"]:
        name, known = f"{within}{field['name']}", _field(registered, field["name"])
        if known is None:
            if "default" not in field:
                yield name, "is new and required, and messages under way do not have it"
        elif (before := _only(known["type"])) != (after := _only(field["type"])):
            if _is_record(before) and _is_record(after):
                yield from changes(before, after, f"{name}.")
            elif not _reads(after, before):
                yield name, f"was {_in_words(before)} and is {_in_words(after)} now"


def _following_field(known: Mapping[str, Any] | None, field: AvroSchema) -> AvroSchema:
    if known is None:
        return field
    before, after = _only(known["type"]), _only(field["type"])
    kind = field["type"]
    if _is_record(before) and _is_record(after):
        kind = _optional(following(before, after)) if isinstance(kind, list) else following(before, after)
    if "default" in known and "default" not in field:
        return {"name": field["name"], "type": _optional(kind), "default": None}
    return {**field, "type": kind}


def _record(name: str, fields: Fields) -> AvroSchema:
    namespace, _, last = name.rpartition(".")
    listed = [_avro_field(name, property_name, member) for property_name, member in sorted(fields.members.items())]
    if fields.is_open:
        listed.append({"name": OTHER, "type": ["null", JSON_TEXT], "default": None})
    return {"type": "record", "name": last, "namespace": namespace, "fields": listed}


def _avro_field(within: str, name: str, member: Member) -> AvroSchema:
    kind = _type(f"{within}.{name}", member.shape)
    if not member.is_required:
        return {"name": name, "type": _optional(kind), "default": None}
    return {"name": name, "type": _optional(kind) if member.is_nullable else kind}


def _type(name: str, shape: Shape) -> Any:
    match shape:
        case Fields():
            return _record(name, shape)
        case ListOf():
            return {"type": "array", "items": _type(f"{name}.item", shape.items)}
        case MapOf():
            return {"type": "map", "values": _type(f"{name}.value", shape.values)}
        case Plain.NUMBER:
            return ["long", "double"]
        case Plain.JSON:
            return JSON_TEXT
        case _:
            return shape.value


def _optional(kind: Any) -> list[Any]:
    return ["null", *(branch for branch in (kind if isinstance(kind, list) else [kind]) if branch != "null")]


def _field(schema: AvroSchema, name: str) -> AvroSchema | None:
    return next((field for field in schema["fields"] if field["name"] == name), None)


def _only(kind: Any) -> Any:
    """The type without null; a union of several stays one."""
    if not isinstance(kind, list):
        return kind
    branches = [branch for branch in kind if branch != "null"]
    return branches[0] if len(branches) == 1 else branches


def _is_record(kind: Any) -> bool:
    return isinstance(kind, Mapping) and kind.get("type") == "record"


def _reads(after: Any, before: Any) -> bool:
    if isinstance(after, list):
        return all(branch in after for branch in (before if isinstance(before, list) else [before]))
    # What was a text of one kind is a text of the other.
    return bool(_plainly(after) == _plainly(before))


def _plainly(kind: Any) -> Any:
    return kind["type"] if isinstance(kind, Mapping) and kind.get("type") == "string" else kind


def _in_words(kind: Any) -> str:
    if isinstance(kind, list):
        return " or ".join(_in_words(branch) for branch in kind)
    if isinstance(kind, Mapping):
        return "JSON text" if kind == JSON_TEXT else str(kind["type"])
    return str(kind)
