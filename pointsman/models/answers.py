"""Reading what a chat-completions server sent back, which may be anything."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pointsman.contracts import Contract
from pointsman.envelope import decode_payload
from pointsman.errors import InvalidEnvelopeError, ModelAnswerError
from pointsman.models.confidence import Token
from pointsman.models.port import ToolCall
from pointsman.models.strict_schema import SentSchema, sent_schema, without_nulls
from pointsman.models.tool_turns import read_calls

_MAX_SHAPES: Final = 256


@dataclass(frozen=True, kw_only=True)
class Shape:
    """A request's schema, ready for use.

    Attributes:
        contract: the schema that the answer must keep, compiled.
        sent: the schema in the form in which the model gets it.
    """

    contract: Contract
    sent: SentSchema


@dataclass(frozen=True, kw_only=True)
class RawAnswer:
    """One completion as it came.

    Attributes:
        text: the answer's text, empty when there was none.
        finish_reason: why the model stopped, by its own word.
        refused: the model or a content filter declined to answer.
        model: the model that answered, by its own word.
        input_tokens: tokens of the prompt.
        output_tokens: tokens of the answer.
        cached_tokens: tokens of the prompt that the server still had from another one.
        id: the server's name for this completion.
        tokens: the answer's tokens with their log-probabilities, where the server says them.
        tool_calls: tools that the model asks for.
    """

    text: str = ""
    finish_reason: str = ""
    refused: bool = False
    model: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    id: str = ""
    tokens: tuple[Token, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()


class UnusableAnswerError(Exception):
    """The answer breaks the schema; asking once more may help.

    Attributes:
        problem: what is wrong, in words for the model, without any value of the answer.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def shape_of(schema: dict[str, Any]) -> Shape:
    """The compiled form of `schema`, made once.

    Raises:
        ModelAnswerError: it is no JSON Schema, so no answer could keep it.
    """
    return _shape(json.dumps(schema))


@lru_cache(maxsize=_MAX_SHAPES)
def _shape(text: str) -> Shape:
    schema = json.loads(text)
    try:
        contract = Contract(schema)
    except ValueError as error:
        raise ModelAnswerError(f"the question has no usable schema: {error}") from None
    return Shape(contract=contract, sent=sent_schema(schema))


def read_completion(body: bytes) -> RawAnswer:
    """Read a response body; whatever is missing or of the wrong type reads as empty."""
    try:
        completion = json.loads(body)
    except (ValueError, RecursionError):
        return RawAnswer()
    choice = _first(_get(completion, "choices", list))
    message = _get(choice, "message", dict)
    usage = _get(completion, "usage", dict)
    finish_reason = _get(choice, "finish_reason", str)
    return RawAnswer(
        text=_get(message, "content", str),
        finish_reason=finish_reason,
        refused=finish_reason == "content_filter" or bool(_get(message, "refusal", str)),
        model=_get(completion, "model", str),
        input_tokens=_get(usage, "prompt_tokens", int),
        output_tokens=_get(usage, "completion_tokens", int),
        cached_tokens=_get(_get(usage, "prompt_tokens_details", dict), "cached_tokens", int),
        id=_get(completion, "id", str),
        tokens=_tokens(_get(_get(choice, "logprobs", dict), "content", list)),
        tool_calls=read_calls(message),
    )


def usable_content(answer: RawAnswer, shape: Shape) -> dict[str, Any]:
    """The parsed answer, valid against the contract.

    Raises:
        UnusableAnswerError: it is cut off, no JSON object, or breaks the contract.
    """
    if answer.finish_reason == "length":
        raise UnusableAnswerError("the answer was cut off because it was too long")
    if not answer.text.strip():
        raise UnusableAnswerError("the answer was empty")
    try:
        content = decode_payload(answer.text.encode(errors="surrogatepass"))
    except InvalidEnvelopeError as error:
        raise UnusableAnswerError(f"the answer is no JSON object: {error.detail}") from None
    return _valid(content, shape)


def _valid(content: dict[str, Any], shape: Shape) -> dict[str, Any]:
    violation = shape.contract.violation(content)
    if violation is None:
        return content
    # Strict mode knows no optional property: what the model left out came as null.
    pruned: dict[str, Any] = without_nulls(content)
    if shape.sent.strict and shape.contract.violation(pruned) is None:
        return pruned
    raise UnusableAnswerError(f"the answer breaks the schema: {violation}")


def _tokens(said: list[Any]) -> tuple[Token, ...]:
    """Each token with its log-probability; nothing where one of them is not said."""
    texts = [_get(each, "token", str) for each in said]
    numbers: list[Any] = [each.get("logprob") if isinstance(each, dict) else None for each in said]
    known = all(isinstance(each, int | float) and not isinstance(each, bool) for each in numbers)
    return tuple(zip(texts, map(float, numbers), strict=True)) if known else ()


def _first(values: list[Any]) -> Any:
    return values[0] if values else None


def _get(holder: Any, name: str, kind: type[Any]) -> Any:
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, kind) and not isinstance(value, bool) else kind()
