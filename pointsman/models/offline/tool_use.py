"""Tools at the stand-in: it asks for one that fits what the user turn says, once each, and reads what it said."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any, Final

import jsonschema_rs

from pointsman.contracts import Contract
from pointsman.models.offline.facts import UserTurn, name_words
from pointsman.models.offline.words import content_words, with_relatives

TOLD_BY_TOOLS: Final = "tools"
"""The name under which what tools said stands beside the user turn's data."""
_ENOUGH_WORDS: Final = 2
"""In common with system and user turn, for a tool that takes no arguments."""
Turn = dict[str, Any]


def wanted_calls(request: dict[str, Any], system: str, turn: UserTurn) -> list[dict[str, Any]]:
    """The calls that the stand-in makes in answer to `request`: one tool at most; none when it rather answers."""
    if request.get("tool_choice") == "none":
        return []
    asked = {name for name, _ in _asked(request)}
    for function in _offered(request):
        if function["name"] in asked:
            continue
        arguments = _arguments(function, system, turn)
        if arguments is not None:
            text = json.dumps(arguments, ensure_ascii=False)
            identity = "call_" + hashlib.sha256(f"{function['name']} {text}".encode()).hexdigest()[:24]
            told = {"name": function["name"], "arguments": text}
            return [{"id": identity, "type": "function", "function": told}]
    return []


def with_tool_results(user: str, request: dict[str, Any]) -> str:
    """The user turn's data with what tools said beside it."""
    told = [_parsed(each.get("content")) for each in request.get("messages", ()) if each.get("role") == "tool"]
    if not told:
        return user
    data = _parsed(user)
    return json.dumps({TOLD_BY_TOOLS: told, **(data if isinstance(data, dict) else {"text": data})}, ensure_ascii=False)


def _offered(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    tools = request.get("tools")
    for tool in tools if isinstance(tools, list) else ():
        function = tool.get("function") if isinstance(tool, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            yield function


def _asked(request: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for turn in request.get("messages", ()):
        for call in turn.get("tool_calls") or ():
            yield call["function"]["name"], call["function"]["arguments"]


def _arguments(function: dict[str, Any], system: str, turn: UserTurn) -> dict[str, Any] | None:
    """Arguments from the facts of `turn`; None when one is missing or the tool is about something else."""
    schema = function.get("parameters") or {}
    properties = schema.get("properties", {})
    required = schema.get("required", [])
    values = {name: value for name in properties if (value := _value(name, properties[name], turn)) is not None}
    if any(name not in values for name in required):
        return None
    if not required and len(_words(f"{system} {_texts(turn)}") & _words(_about(function))) < _ENOUGH_WORDS:
        return None
    try:
        return values if Contract(schema or {"type": "object"}).violation(values) is None else None
    except (ValueError, jsonschema_rs.ValidationError):
        return None


def _value(name: str, schema: Any, turn: UserTurn) -> Any:
    """What the user turn gives under this name, or under one that shares a word with it."""
    kind = schema.get("type") if isinstance(schema, dict) else None
    given = turn.given(name)
    if given is not None:
        return given
    if kind == "string":
        named = (fact for fact in turn.facts if fact.text and name_words(fact.name) & name_words(name))
        return next((fact.text for fact in named), None)
    return None


def _about(function: dict[str, Any]) -> str:
    return f"{function['name'].rpartition('__')[2]} {function.get('description', '')}"


def _texts(turn: UserTurn) -> str:
    return " ".join(f"{fact.name} {fact.text}" for fact in turn.facts)


def _words(text: str) -> frozenset[str]:
    return with_relatives(content_words(text))


def _parsed(text: Any) -> Any:
    try:
        said = json.loads(text)
    except (TypeError, ValueError, RecursionError):
        return text
    # What a tool said is often JSON inside the one text that tools answer with.
    result = said.get("result") if isinstance(said, dict) else None
    return {**said, "result": _parsed(result)} if isinstance(result, str) else said
