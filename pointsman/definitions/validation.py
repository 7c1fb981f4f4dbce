"""From a parsed file to a definition, or to everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from pointsman.definitions.instructions import instruction_problems
from pointsman.definitions.model import Accepts, AgentDefinition, Emits, Limits, ModelChoice
from pointsman.definitions.payloads import contract_problems
from pointsman.definitions.problems import Problem
from pointsman.definitions.source import Path, Place, Source
from pointsman.definitions.tool_servers import ToolServer
from pointsman.definitions.words import did_you_mean, nearest

_PARTS: Final[dict[str, type[BaseModel]]] = {
    "accepts": Accepts,
    "emits": Emits,
    "limits": Limits,
    "model": ModelChoice,
    "tools": ToolServer,
}
_PATTERNS: Final = {
    "name": "lower-case letters, digits and underscores, a letter first, at most 63 characters",
    "next_agent": "an agent's name: lower-case letters, digits and underscores, at most 63 characters",
    "type": "lower-case words with dots between them, e.g. lead.scored",
    "version": "three numbers with dots between them, e.g. 1.2.0",
}
_TOOL_PATTERNS: Final = {
    "name": "lower-case letters, digits and underscores, a letter first, at most 22 characters",
    "allow": "a tool's name: letters, digits, dots, hyphens and underscores, at most 40 characters",
    "environment": "a variable's name: letters, digits and underscores; its value stays outside",
    "url": "an address that begins with http:// or https:// and holds no login",
}
_PLAIN_TYPES: Final = {
    "string_type": "a text",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
    "int_type": "a whole number",
    "float_type": "a number",
}
_SAID_TRUE: Final = frozenset({"yes", "on", "y", "1"})
_SAID_FALSE: Final = frozenset({"no", "off", "n", "0"})


def validate(source: Source) -> tuple[AgentDefinition | None, list[Problem]]:
    """The definition that `source` holds, if it holds one, and all problems of the file."""
    problems = list(source.problems)
    if source.data is None:
        return None, problems
    if not isinstance(source.data, dict):
        message = f"a definition is a mapping of {', '.join(AgentDefinition.model_fields)}"
        return None, [*problems, source.problem(source.value_place(()), message)]
    definition, found = _read(source)
    found += [*_name_problems(source), *_repeated_types(source), *_inner_problems(source)]
    problems += found
    if any(problem.severity == "error" for problem in problems):
        return None, problems
    return definition, problems


def _read(source: Source) -> tuple[AgentDefinition | None, list[Problem]]:
    try:
        return AgentDefinition.model_validate(source.data), []
    except ValidationError as error:
        details = [found for found in error.errors(include_url=False) if not source.is_spoilt(found["loc"])]
        return None, list(_translated(source, details))


def _translated(source: Source, details: list[ErrorDetails]) -> Iterator[Problem]:
    guessed = {
        (*detail["loc"][:-1], guess)
        for detail in details
        if detail["type"] == "extra_forbidden"
        and (guess := nearest(str(detail["loc"][-1]), _fields_at(detail["loc"][:-1])))
    }
    for detail in details:
        path: Path = detail["loc"]
        if detail["type"] == "missing" and path in guessed:
            continue  # the misspelt key's own problem names it
        if detail["type"] == "value_error" and not path:
            continue  # `_repeated_types` says it with its place
        yield source.problem(_place(source, detail), _message(source, detail))


def _place(source: Source, detail: ErrorDetails) -> Place:
    path: Path = detail["loc"]
    # A value that is left out has no place of its own: YAML puts it before whatever comes next.
    if detail["type"] == "extra_forbidden" or detail["input"] is None:
        return source.key_place(path)
    if detail["type"] == "missing":
        return source.key_place(path[:-1])
    if detail["type"] == "value_error":
        return source.value_place((*path, "next_agent"))
    return source.value_place(path)


def _message(source: Source, detail: ErrorDetails) -> str:
    path, kind, value = detail["loc"], detail["type"], detail["input"]
    word = _words(path)
    if kind == "extra_forbidden":
        return _unknown_key(source, path)
    if kind == "missing":
        return f"{path[-1]} is missing"
    if kind == "bool_type":
        return f"{word} must be true or false{_meant(value)}"
    if kind == "value_error":
        return detail["msg"].removeprefix("Value error, ")
    if kind in _PLAIN_TYPES and value is None:
        return f"{word} has no value: write {_PLAIN_TYPES[kind]}"
    if kind == "string_pattern_mismatch" or (kind == "string_type" and isinstance(value, int | float)):
        return f"{word} must be {_pattern(path)}"
    if kind in _PLAIN_TYPES:
        return f"{word} must be {_PLAIN_TYPES[kind]}"
    return f"{word} {detail['msg'].removeprefix('Input ')[:200]}"


def _pattern(path: Path) -> str:
    patterns = _TOOL_PATTERNS if path[0] == "tools" else _PATTERNS
    named = [patterns[part] for part in path if isinstance(part, str) and part in patterns]
    return named[-1] if named else "a text: put it in quotes"


def _unknown_key(source: Source, path: Path) -> str:
    key, valid = str(path[-1]), _fields_at(path[:-1])
    guess = nearest(key, valid)
    if guess and guess in _given(source, path[:-1]):
        return f"unknown key {key[:60]}: {guess} stands here already, remove one of the two"
    known = f": there are {', '.join(valid)}"
    return f"unknown key {key[:60]}{did_you_mean(key, valid) or known}"


def _meant(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    said = value.lower()
    if said in _SAID_TRUE | _SAID_FALSE:
        return f": {value} is a text in YAML 1.2, write {'true' if said in _SAID_TRUE else 'false'}"
    return did_you_mean(said, ("true", "false"))


def _words(path: Path) -> str:
    """`accepts[0].type` for a path."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".")[:120] or "the definition"


def _fields_at(path: Path) -> list[str]:
    part = _PARTS.get(str(path[0])) if path else AgentDefinition
    return list(part.model_fields) if part else []


def _given(source: Source, path: Path) -> list[str]:
    value = source.data
    for part in path:
        value = value[part]
    return list(value)


def _name_problems(source: Source) -> Iterator[Problem]:
    name, stem = source.data.get("name"), PurePath(source.path).stem
    if isinstance(name, str) and name != stem:
        message = f"name is {name[:80]} and the file is {stem}.yaml: the two must be the same"
        yield source.problem(source.value_place(("name",)), message)


def _repeated_types(source: Source) -> Iterator[Problem]:
    for field, path, entry in _entries(source):
        name = entry.get("type")
        earlier = [other.get("type") for _, at, other in _entries(source) if at[0] == field and at[1] < path[1]]
        if isinstance(name, str) and name in earlier:
            yield source.problem(source.value_place((*path, "type")), f"{field} lists {name[:60]} twice: remove one")


def _inner_problems(source: Source) -> Iterator[Problem]:
    for _, path, entry in _entries(source):
        contract = entry.get("contract")
        if isinstance(contract, dict) and not _holds_spoilt(source, (*path, "contract")):
            yield from contract_problems(source, (*path, "contract"), contract)
    instructions = source.data.get("instructions")
    if isinstance(instructions, str):
        yield from instruction_problems(source, instructions)


def _entries(source: Source) -> Iterator[tuple[str, tuple[str, int], dict[str, Any]]]:
    for field in ("accepts", "emits"):
        entries = source.data.get(field)
        for index, entry in enumerate(entries) if isinstance(entries, list) else ():
            if isinstance(entry, dict):
                yield field, (field, index), entry


def _holds_spoilt(source: Source, path: Path) -> bool:
    return any(spoilt[: len(path)] == path for spoilt in source.spoilt)
