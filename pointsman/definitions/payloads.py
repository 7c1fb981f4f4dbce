"""Checks of the contracts inside a definition file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pointsman.contracts import Contract, InvalidContractError
from pointsman.definitions import keywords
from pointsman.definitions.problems import Problem
from pointsman.definitions.source import Path, Source
from pointsman.definitions.words import did_you_mean, nearest


def contract_problems(source: Source, path: Path, schema: dict[str, Any]) -> Iterator[Problem]:
    """What is wrong with the contract that stands at `path` of `source`."""
    found = list(_word_problems(source, path, schema))
    yield from found
    try:
        Contract(schema)
    except InvalidContractError as error:
        place = source.value_place((*path, *error.path))
        # The walk above says the same of a wrong type or reference, with a hint: one line for one mistake.
        said = [problem for problem in found if problem.severity == "error"]
        if not said or (error.path and all((known.line, known.column) != (place.line, place.column) for known in said)):
            yield source.problem(place, str(error))


def _word_problems(source: Source, path: Path, schema: dict[str, Any]) -> Iterator[Problem]:
    for inner, part in keywords.subschemas(schema):
        here = (*path, *inner)
        yield from _unknown_words(source, here, part)
        yield from _wrong_types(source, here, part)
        yield from _lost_references(source, here, part, schema)
        yield from _suspicious(source, here, part)
    if not _takes_objects(schema):
        yield source.problem(source.value_place((*path, "type")), "a payload is always an object: write type: object")


def _unknown_words(source: Source, path: Path, schema: dict[str, Any]) -> Iterator[Problem]:
    for word in schema:
        if word not in keywords.ALL and not word.startswith("x-"):
            hint = did_you_mean(word, keywords.ALL) or "; own words begin with x-"
            yield source.problem(source.key_place((*path, word)), f"{word[:60]} is no word of JSON Schema{hint}")


def _wrong_types(source: Source, path: Path, schema: dict[str, Any]) -> Iterator[Problem]:
    stated = schema.get("type")
    for index, name in enumerate(stated) if isinstance(stated, list) else [(None, stated)]:
        if isinstance(name, str) and name not in keywords.TYPES:
            at: Path = (*path, "type") if index is None else (*path, "type", index)
            hint = did_you_mean(name, keywords.TYPES) or f": write one of {', '.join(keywords.TYPES)}"
            yield source.problem(source.value_place(at), f"{name[:60]} is no JSON type{hint}")


def _lost_references(source: Source, path: Path, part: dict[str, Any], schema: dict[str, Any]) -> Iterator[Problem]:
    target = part.get("$ref")
    if not isinstance(target, str):
        return
    place = source.value_place((*path, "$ref"))
    if not target.startswith("#"):
        yield source.problem(place, "a contract is self-contained: put the other schema under $defs")
    elif target.startswith("#/$defs/"):
        names, name = schema.get("$defs"), target.removeprefix("#/$defs/").split("/")[0]
        if not isinstance(names, dict) or name.replace("~1", "/").replace("~0", "~") not in names:
            message = f"there is no {name[:60]} under $defs of this contract{did_you_mean(name, names or ())}"
            yield source.problem(place, message)


def _suspicious(source: Source, path: Path, schema: dict[str, Any]) -> Iterator[Problem]:
    form = schema.get("format")
    if isinstance(form, str) and form not in keywords.FORMATS:
        message = f"the format {form[:60]} is unknown and checks nothing{did_you_mean(form, keywords.FORMATS)}"
        yield source.problem(source.value_place((*path, "format")), message, warning=True)
    properties, required = schema.get("properties"), schema.get("required")
    if not (isinstance(properties, dict) and isinstance(required, list)):
        return
    for index, name in enumerate(required):
        if isinstance(name, str) and name not in properties and nearest(name, properties, at_least=0.75):
            message = f"{name[:60]} is required and stands not under properties{did_you_mean(name, properties)}"
            yield source.problem(source.value_place((*path, "required", index)), message, warning=True)


def _takes_objects(schema: dict[str, Any]) -> bool:
    stated = schema.get("type", "object")
    known = [name for name in (stated if isinstance(stated, list) else [stated]) if name in keywords.TYPES]
    return not known or "object" in known
