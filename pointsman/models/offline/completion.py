"""One chat-completions request to one answer, without HTTP."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import jsonschema_rs

from pointsman.contracts import Contract
from pointsman.models.offline.compose import compose
from pointsman.models.offline.facts import UserTurn
from pointsman.models.offline.texts import Ask, write_text
from pointsman.models.offline.tool_use import wanted_calls, with_tool_results

_CHARS_PER_TOKEN: Final = 4
# What a client without strict schemas (Flink SQL's) puts at the end of its system turn.
_SCHEMA_IN_PROMPT: Final = re.compile(r"^Answer with one JSON object that keeps this schema: (\{.*\})$", re.MULTILINE)
_NOT_STRICT: Final = (
    "allOf", "oneOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas", "patternProperties",
    "propertyNames", "unevaluatedProperties", "unevaluatedItems", "contains", "prefixItems",
)  # fmt: skip


class BadRequestError(Exception):
    """The request is not one that the API takes.

    Attributes:
        message: what is wrong.
        param: the parameter that is.
    """

    def __init__(self, message: str, param: str) -> None:
        super().__init__(message, param)
        self.message = message
        self.param = param


@dataclass(frozen=True, kw_only=True)
class Completion:
    """An answer.

    Attributes:
        text: the answer's text.
        finish_reason: `stop`, `length` when it was cut off, or `tool_calls`.
        input_tokens: tokens of the prompt, estimated.
        output_tokens: tokens of the answer, estimated.
        tool_calls: tools that it asks for, in place of a text.
    """

    text: str
    finish_reason: str
    input_tokens: int
    output_tokens: int
    tool_calls: list[dict[str, Any]] = field(default_factory=list)


def complete(request: dict[str, Any]) -> Completion:
    """Answer a request.

    Raises:
        BadRequestError: it is not one that the API takes.
    """
    system, user, length = _turns(request)
    input_tokens = -(-length // _CHARS_PER_TOKEN)
    turn = UserTurn(with_tool_results(user, request))
    if calls := wanted_calls(request, system, turn):
        output_tokens = -(-len(json.dumps(calls)) // _CHARS_PER_TOKEN)
        return Completion(
            text="",
            finish_reason="tool_calls",
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            tool_calls=calls,
        )
    text = _answer(request.get("response_format"), system, turn)
    most = request.get("max_completion_tokens") or request.get("max_tokens") or 0
    is_cut = isinstance(most, int) and 0 < most * _CHARS_PER_TOKEN < len(text)
    text = text[: most * _CHARS_PER_TOKEN] if is_cut else text
    return Completion(
        text=text,
        finish_reason="length" if is_cut else "stop",
        input_tokens=input_tokens,
        output_tokens=-(-len(text) // _CHARS_PER_TOKEN),
    )


def completion_id(request: dict[str, Any]) -> str:
    """The same for the same request."""
    return "chatcmpl-" + hashlib.sha256(json.dumps(request, sort_keys=True).encode()).hexdigest()[:24]


def _turns(request: dict[str, Any]) -> tuple[str, str, int]:
    """The system turns, the user turn that holds the data, and the length of all turns in characters."""
    messages = request.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(each, dict) for each in messages):
        raise BadRequestError("'messages' must be a non-empty array of objects", "messages")
    turns = [(str(each.get("role")), _content(each.get("content"))) for each in messages]
    system = "\n\n".join(text for role, text in turns if role in {"system", "developer"})
    users = [text for role, text in turns if role == "user"] or [""]
    # After a repair the last user turn is about the answer, the first one still holds the data.
    user = next((text for text in users if text.lstrip().startswith(("{", "["))), users[-1])
    return system, user, sum(len(text) for _, text in turns)


def _content(content: Any) -> str:
    if isinstance(content, list):
        return "\n".join(
            part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str)
        )
    return content if isinstance(content, str) else ""


def _answer(wanted: Any, system: str, turn: UserTurn) -> str:
    kind = wanted.get("type") if isinstance(wanted, dict) else None
    if kind == "json_schema":
        return json.dumps(_filled(wanted.get("json_schema"), system, turn), ensure_ascii=False)
    named = _SCHEMA_IN_PROMPT.search(system) if kind == "json_object" else None
    if named:
        return json.dumps(compose(json.loads(named.group(1)), system[: named.start()], turn), ensure_ascii=False)
    text = write_text(Ask(name="summary", guidance="", schema={}), turn, [])
    return json.dumps({"answer": text}, ensure_ascii=False) if kind == "json_object" else text


def _filled(wanted: Any, system: str, turn: UserTurn) -> Any:
    schema = wanted.get("schema") if isinstance(wanted, dict) else None
    if not isinstance(schema, dict):
        raise BadRequestError("'json_schema.schema' must be an object", "response_format")
    problem = schema_problem(json.dumps(schema), strict=wanted.get("strict") is True)
    if problem:
        raise BadRequestError(
            f"Invalid schema for response_format '{wanted.get('name')}': {problem}", "response_format"
        )
    return compose(schema, system, turn)


@lru_cache(maxsize=256)
def schema_problem(text: str, *, strict: bool) -> str | None:
    """Why the API would not take this schema; None when it would."""
    schema = json.loads(text)
    try:
        Contract(schema)
    except (ValueError, jsonschema_rs.ValidationError) as error:
        return str(error)
    if not strict:
        return None
    if schema.get("type") != "object" or "anyOf" in schema:
        return "schema must be a JSON Schema of 'type: \"object\"'"
    return _strict_problem(schema, ())


def _strict_problem(schema: Any, context: tuple[str, ...]) -> str | None:
    if not isinstance(schema, dict):
        return f"In context={context}, a schema must be an object."
    banned = next((keyword for keyword in _NOT_STRICT if keyword in schema), None)
    if banned:
        return f"In context={context}, '{banned}' is not permitted."
    properties = schema.get("properties", {})
    if "object" in _kinds(schema) and schema.get("additionalProperties") is not False:
        return f"In context={context}, 'additionalProperties' is required to be supplied and to be false."
    missing = [name for name in properties if name not in schema.get("required", ())]
    if missing:
        return (
            f"In context={context}, 'required' is required to include every key in properties. Missing '{missing[0]}'."
        )
    if not {"type", "anyOf", "$ref"} & set(schema):
        return f"In context={context}, schema must have a 'type' key."
    return next(
        (problem for inner, where in _inner(schema, context) if (problem := _strict_problem(inner, where))), None
    )


def _inner(schema: dict[str, Any], context: tuple[str, ...]) -> list[tuple[Any, tuple[str, ...]]]:
    named = [
        (inner, (*context, group, name))
        for group in ("properties", "$defs")
        for name, inner in schema.get(group, {}).items()
    ]
    branches = [(inner, (*context, "anyOf", str(number))) for number, inner in enumerate(schema.get("anyOf", ()))]
    items = [(schema["items"], (*context, "items"))] if "items" in schema else []
    return [*named, *branches, *items]


def _kinds(schema: dict[str, Any]) -> list[Any]:
    kind = schema.get("type")
    return kind if isinstance(kind, list) else [kind]
