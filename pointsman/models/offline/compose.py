"""Filling in a JSON Schema from what the user turn says; always valid where the schema can be kept at all."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from pointsman.contracts import Contract
from pointsman.models.offline.choose import Choice, choose
from pointsman.models.offline.facts import Fact, UserTurn
from pointsman.models.offline.guidance import options_for, part_guidance
from pointsman.models.offline.judge import grade
from pointsman.models.offline.telling import numbered, statement, told_facts
from pointsman.models.offline.texts import Ask, write_text
from pointsman.models.offline.words import all_words

_MAX_DEPTH: Final = 8
_MAX_ITEMS: Final = 50
_SENTENCE_CHARS: Final = 50
_RANGE: Final = re.compile(r"\b(-?\d+)\s*(?:to|-|and)\s*(-?\d+)\b(?!\s*(?:words|sentences|characters))")
_COUNTS: Final = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
_COUNT_RANGE: Final = re.compile(rf"\b({'|'.join(_COUNTS)}) (?:to|or) ({'|'.join(_COUNTS)})\b")
_FRACTION: Final = frozenset(all_words("confidence probability share ratio"))
Schema = dict[str, Any]


def compose(schema: Schema, system: str, turn: UserTurn) -> Any:
    """A value for `schema`, said with the facts of `turn` and guided by `system` and the schema's descriptions."""
    return _Composer(root=schema, system=system, turn=turn).fill(schema, "", 0)


@dataclass(kw_only=True)
class _Composer:
    """One answer in the making.

    Attributes:
        choice: the last choice made, for a reason to speak of.
        used: facts that a text of this answer rests on.
    """

    root: Schema
    system: str
    turn: UserTurn
    choice: Choice | None = None
    used: list[Fact] = field(default_factory=list)

    def fill(self, schema: Any, name: str, depth: int) -> Any:
        schema = self._resolved(schema)
        guidance = self._guidance(schema, name)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._enum(schema["enum"], guidance)
        given = self._given(schema, name)
        if given is not None:
            return given
        branches = schema.get("anyOf") or schema.get("oneOf")
        if branches:
            return self._branch(schema, branches, name, guidance, depth)
        kinds: dict[str, Callable[[], Any]] = {
            "object": lambda: self._object(schema, depth),
            "array": lambda: self._array(schema, name, guidance, depth),
            "string": lambda: self._text(schema, name, guidance),
            "integer": lambda: self._number(schema, name, guidance, whole=True),
            "number": lambda: self._number(schema, name, guidance, whole=False),
            "boolean": lambda: grade(self.turn, f"{name} {guidance}") >= 0.5,
            "null": lambda: None,
        }
        return kinds[_kind(schema)]()

    def _resolved(self, given: Any) -> Schema:
        """The schema with `$ref` followed and `allOf` merged."""
        schema: Schema = given if isinstance(given, dict) else {}
        for _ in range(_MAX_DEPTH):
            if "$ref" not in schema:
                break
            schema = {**_at(self.root, schema["$ref"]), **{name: schema[name] for name in schema if name != "$ref"}}
        for part in schema.get("allOf", ()):
            schema = _merged(schema, self._resolved(part))
        return schema

    def _guidance(self, schema: Schema, name: str) -> str:
        said = (schema.get("title"), schema.get("description"), part_guidance(self.system, name) if name else "")
        return " ".join(text for text in said if isinstance(text, str) and text)

    def _given(self, schema: Schema, name: str) -> Any:
        """An object or a truth value that the user turn holds under the same name, if it keeps the schema."""
        given = self.turn.given(name) if name else None
        if not isinstance(given, dict | bool):
            return None
        within = {"properties": {"given": schema}, "$defs": self.root.get("$defs", {})}
        return given if _keeps(within, {"given": given}) else None

    def _enum(self, values: list[Any], guidance: str) -> Any:
        texts = tuple(value for value in values if isinstance(value, str))
        if not texts:
            return values[0]
        self.choice = choose(options_for(texts, self.system, guidance), self.turn)
        return self.choice.value

    def _branch(self, schema: Schema, branches: list[Any], name: str, guidance: str, depth: int) -> Any:
        rest = {keyword: value for keyword, value in schema.items() if keyword not in {"anyOf", "oneOf"}}
        resolved = [_merged(rest, self._resolved(branch)) for branch in branches]
        solid = [branch for branch in resolved if _kind(branch) != "null"]
        if not solid:
            return None
        told_apart = _discriminated(solid)
        if len(told_apart) > 1:
            chosen = choose(options_for(tuple(told_apart), self.system, guidance or self.system), self.turn)
            self.choice = chosen
            return self.fill(told_apart[chosen.value], name, depth + 1)
        return self.fill(solid[0] if depth < _MAX_DEPTH else resolved[-1], name, depth + 1)

    def _object(self, schema: Schema, depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        names = [name for name in properties if name in required or depth < _MAX_DEPTH]
        names += [name for name in required if name not in properties]
        most = schema.get("maxProperties", len(names))
        optional = [name for name in names if name not in required][: max(0, most - len(required))]
        open_schema = schema.get("additionalProperties")
        extra = open_schema if isinstance(open_schema, dict) else {"type": "string"}
        wanted = [name for name in names if name in required or name in optional]
        filled = {name: self.fill(properties.get(name, extra), name, depth + 1) for name in wanted}
        for number in range(schema.get("minProperties", 0) - len(filled)):
            filled[f"more_{number + 1}"] = self.fill(extra, "more", depth + 1)
        return filled

    def _array(self, schema: Schema, name: str, guidance: str, depth: int) -> list[Any]:
        least = schema.get("minItems", 0)
        most = min(schema.get("maxItems", _MAX_ITEMS), _MAX_ITEMS) if schema.get("maxItems", 1) else 0
        heads = [self.fill(head, name, depth + 1) for head in schema.get("prefixItems", ())][: max(most, least)]
        items = self._resolved(schema.get("items", {"type": "string"}))
        if depth >= _MAX_DEPTH or schema.get("items") is False:
            most = least
        wanted = max(least, min(_wanted_count(guidance), most)) - len(heads)
        found = self._entries(items, name, guidance, depth, wanted, least - len(heads))
        return heads + (_distinct(found, items) if schema.get("uniqueItems") else found)

    def _entries(self, items: Schema, name: str, guidance: str, depth: int, wanted: int, least: int) -> list[Any]:
        kind = _kind(items)
        if kind in {"integer", "number"} and "enum" not in items:
            low, high = _bounds(items, "", whole=kind == "integer")
            # Our own passages are numbered by themselves.
            meant = [fact for fact in self.used if ("passages" in fact.path) == ("passages" in name.split("_"))]
            numbers = [number for number in dict.fromkeys(numbered(meant)) if low <= number <= high][:wanted]
            return numbers + [self.fill(items, name, depth + 1) for _ in range(least - len(numbers))]
        if kind == "string" and not {"enum", "const", "format", "pattern", "anyOf", "oneOf"} & set(items):
            texts = self._short_texts(items, name, guidance)[:wanted]
            return texts + [
                self._text(items, name, f"{guidance} {self._guidance(items, '')}") for _ in range(least - len(texts))
            ]
        if "enum" in items or "const" in items:
            return [self.fill(items, name, depth + 1) for _ in range(max(least, min(wanted, 1)))]
        return [self.fill(items, name, depth + 1) for _ in range(max(least, min(wanted, 2)))]

    def _short_texts(self, items: Schema, name: str, guidance: str) -> list[str]:
        """Distinct facts as sentences, or single words where there is no room for sentences."""
        ask = Ask(name=name, guidance=f"{guidance} {self._guidance(items, '')}", schema=items)
        texts = [statement(fact) for fact in told_facts(self.turn)]
        if ask.most < _SENTENCE_CHARS:
            texts = sorted(self.turn.surface.values(), key=len, reverse=True)
        return [text for text in dict.fromkeys(texts) if text and ask.least <= len(text) <= ask.most]

    def _text(self, schema: Schema, name: str, guidance: str) -> str:
        ask = Ask(name=name, guidance=guidance, schema=schema, reason=self.choice.reason if self.choice else "")
        return write_text(ask, self.turn, self.used)

    def _number(self, schema: Schema, name: str, guidance: str, *, whole: bool) -> float:
        low, high = _bounds(schema, f"{name} {guidance}", whole=whole)
        known = self.turn.numbers.get((all_words(name) or [""])[-1])
        level = grade(self.turn, f"{name} {guidance}")
        value = low + level * (high - low)
        if known is not None and low <= known <= high:
            # What is already counted is moved towards the judgement, not replaced by it.
            value = (known + value) / 2
        return _on_grid(min(max(value, low), high), low, high, schema.get("multipleOf"), whole=whole)


def _keeps(schema: Schema, value: dict[str, Any]) -> bool:
    try:
        return Contract(schema).violation(value) is None
    except ValueError:
        # A reference to a place that only the whole schema has.
        return False


def _kind(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "null")
    if isinstance(kind, str):
        return kind
    hints = {
        "properties": "object",
        "required": "object",
        "items": "array",
        "prefixItems": "array",
        "minimum": "number",
    }
    return next((kind for hint, kind in hints.items() if hint in schema), "string")


def _at(root: Schema, reference: Any) -> Schema:
    node: Any = root
    for part in str(reference).removeprefix("#").strip("/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        node = node.get(name, {}) if isinstance(node, dict) and part else node
    return node if isinstance(node, dict) else {}


def _merged(one: Schema, other: Schema) -> Schema:
    merged = {**one, **other}
    if "properties" in one and "properties" in other:
        merged["properties"] = {**one["properties"], **other["properties"]}
    if "required" in one and "required" in other:
        merged["required"] = [*dict.fromkeys([*one["required"], *other["required"]])]
    return merged


def _discriminated(branches: list[Schema]) -> dict[str, Schema]:
    """The branches by the constant text that tells them apart, if one does."""
    by_constant: dict[str, Schema] = {}
    for branch in branches:
        constants = (inner.get("const") for inner in branch.get("properties", {}).values() if isinstance(inner, dict))
        constant = next((each for each in constants if isinstance(each, str)), None)
        if constant is not None:
            by_constant.setdefault(constant, branch)
    return by_constant if len(by_constant) == len(branches) else {}


def _wanted_count(guidance: str) -> int:
    found = _COUNT_RANGE.search(guidance)
    return _COUNTS[found.group(2)] if found else 3


def _bounds(schema: Schema, guidance: str, *, whole: bool) -> tuple[float, float]:
    said = _RANGE.search(guidance)
    low, high = (float(said.group(1)), float(said.group(2))) if said else (0.0, _usual_most(guidance, whole=whole))
    if "minimum" in schema or "exclusiveMinimum" in schema:
        low = max(_limits(schema, "minimum", "exclusiveMinimum", 1 if whole else 1e-6))
        high = max(high, low)
    if "maximum" in schema or "exclusiveMaximum" in schema:
        high = min(_limits(schema, "maximum", "exclusiveMaximum", -1 if whole else -1e-6))
        low = low if low <= high else high
    return (math.ceil(low), math.floor(high)) if whole else (low, high)


def _limits(schema: Schema, inclusive: str, exclusive: str, step: float) -> Iterator[float]:
    if inclusive in schema:
        yield float(schema[inclusive])
    if exclusive in schema:
        yield float(schema[exclusive]) + step


def _usual_most(guidance: str, *, whole: bool) -> float:
    return 1.0 if not whole and _FRACTION & set(all_words(guidance)) else 100.0


def _on_grid(value: float, low: float, high: float, step: float | None, *, whole: bool) -> float:
    if step:
        value = round(value / step) * step
        value = value if value >= low else value + step
        value = value if value <= high else value - step
    return round(value) if whole or (step and float(step).is_integer()) else round(value, 6)


def _distinct(values: list[Any], items: Schema) -> list[Any]:
    """The values with repetitions made different, where their type allows it."""
    seen: list[Any] = []
    for value in values:
        candidate = value
        for number in range(2, len(values) + 2):
            if candidate not in seen:
                break
            candidate = _varied(value, number, items)
        seen.append(candidate)
    return seen


def _varied(value: Any, number: int, items: Schema) -> Any:
    if "enum" in items:
        return items["enum"][(items["enum"].index(value) + number - 1) % len(items["enum"])]
    if isinstance(value, str):
        ending = f" ({number})"
        return value[: max(0, items.get("maxLength", len(value) + len(ending)) - len(ending))] + ending
    if isinstance(value, int | float) and not isinstance(value, bool):
        low, high = _bounds(items, "", whole=isinstance(value, int))
        step = items.get("multipleOf", 1)
        return value - (number - 1) * step if value - (number - 1) * step >= low else min(high, value + number * step)
    return value
