"""The words of JSON Schema 2020-12, and which of them hold further schemas.

JSON Schema ignores words it does not know, so `propertis:` would be a contract that checks nothing. Definitions may use
these words and `x-...`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pointsman.definitions.source import Path

ONE_SCHEMA: Final = frozenset({
    "additionalProperties", "items", "contains", "not", "if", "then", "else", "propertyNames", "unevaluatedItems",
    "unevaluatedProperties", "contentSchema",
})  # fmt: skip
SCHEMA_LIST: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
SCHEMAS_BY_NAME: Final = frozenset({"properties", "patternProperties", "dependentSchemas", "$defs"})
PLAIN: Final = frozenset({
    "type", "enum", "const", "multipleOf", "maximum", "exclusiveMaximum", "minimum", "exclusiveMinimum", "maxLength",
    "minLength", "pattern", "maxItems", "minItems", "uniqueItems", "maxContains", "minContains", "maxProperties",
    "minProperties", "required", "dependentRequired", "format", "title", "description", "default", "deprecated",
    "readOnly", "writeOnly", "examples", "contentEncoding", "contentMediaType", "$schema", "$id", "$ref", "$anchor",
    "$dynamicRef", "$dynamicAnchor", "$vocabulary", "$comment",
})  # fmt: skip
ALL: Final = ONE_SCHEMA | SCHEMA_LIST | SCHEMAS_BY_NAME | PLAIN
TYPES: Final = ("array", "boolean", "integer", "null", "number", "object", "string")
FORMATS: Final = frozenset({
    "date", "date-time", "duration", "email", "hostname", "idn-email", "idn-hostname", "ipv4", "ipv6", "iri",
    "iri-reference", "json-pointer", "regex", "relative-json-pointer", "time", "uri", "uri-reference", "uri-template",
    "uuid",
})  # fmt: skip


def subschemas(schema: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """`schema` and every schema inside it, with its path."""
    if not isinstance(schema, dict):
        return
    yield path, schema
    for word, value in schema.items():
        here = (*path, word)
        if word in ONE_SCHEMA:
            yield from subschemas(value, here)
        elif word in SCHEMA_LIST and isinstance(value, list):
            for index, entry in enumerate(value):
                yield from subschemas(entry, (*here, index))
        elif word in SCHEMAS_BY_NAME and isinstance(value, dict):
            for name, entry in value.items():
                yield from subschemas(entry, (*here, name))
