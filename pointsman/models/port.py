"""The chat-model port: one question with a JSON Schema, one answer that keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """What to do where the choice in an answer is not sure.

    Attributes:
        field: name of the property that holds the choice.
        thresholds: how sure a choice must be, 0 to 1, by choice; under the empty name for all others.
        second_model: is asked where it is not; None for nobody.
        samples: 2 has the model asked twice where its server does not say how sure it is; 1 never does.
    """

    field: str
    thresholds: Mapping[str, float]
    second_model: str | None = None
    samples: int = 2

    def needed(self, choice: str) -> float:
        """How sure `choice` must be, 0 to 1."""
        return self.thresholds.get(choice, self.thresholds.get("", 0.0))

    def concerns(self, choice: str) -> bool:
        """Whether it matters how sure `choice` is: it needs to be, or nothing does and it is only noted."""
        return self.needed(choice) > 0 or not any(self.thresholds.values())


@dataclass(frozen=True, kw_only=True)
class Opinion:
    """What one answer chose.

    Attributes:
        model: the model that answered, by its own word.
        choice: its choice.
        confidence: how sure it is, 0 to 1; None where nobody knows.
    """

    model: str
    choice: str
    confidence: float | None


@dataclass(frozen=True, kw_only=True)
class ToolOffer:
    """A tool that the model may ask for.

    Attributes:
        name: letters, digits, underscores and hyphens, at most 64.
        description: what it does, for the model.
        parameters: JSON Schema of its arguments (an object).
    """

    name: str
    description: str
    parameters: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """The model asks for a tool instead of answering.

    Attributes:
        id: the server's name for this call.
        name: the tool's name, by the model's word: it may be one that was never offered.
        arguments: JSON text, by the model's word: it may be none.
    """

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, kw_only=True)
class ToolRound:
    """What the model asked tools in one answer, and what they said.

    Attributes:
        calls: what it asked.
        results: what came back, one text for each of `calls`: data, as JSON text.
    """

    calls: tuple[ToolCall, ...]
    results: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ChatRequest:
    """One question to a chat model.

    Attributes:
        system: the system turn: instructions, byte-stable from call to call so that providers can cache the prefix.
        user: the user turn: data, as JSON text; whatever a lead wrote stands only here.
        schema: JSON Schema 2020-12 that the answer must keep (an object).
        schema_name: name of the schema: letters, digits, underscores.
        model: model name; None is the adapter's default.
        temperature: 0 to 2.
        max_output_tokens: upper bound of the answer, in tokens.
        timeout_s: seconds for one attempt; None is the adapter's default.
        priority: 0 to 9; the higher goes first when the adapter's concurrency is used up.
        doubt: what to do where the choice in the answer is not sure; None does not ask how sure it is.
        tools: what the model may ask for before it answers.
        rounds: what it has asked for already, and was told.
        may_call: whether it may still ask for tools; once it may not, it has to answer.
    """

    system: str
    user: str
    schema: dict[str, Any]
    schema_name: str = "answer"
    model: str | None = None
    temperature: float = 0.0
    max_output_tokens: int = 1200
    timeout_s: float | None = None
    priority: int = 5
    doubt: Doubt | None = None
    tools: tuple[ToolOffer, ...] = ()
    rounds: tuple[ToolRound, ...] = ()
    may_call: bool = True


@dataclass(frozen=True, kw_only=True)
class ChatAnswer:
    """What the model answered.

    Attributes:
        content: the answer, parsed and valid against the request's schema; empty while `tool_calls` are due.
        raw: the answer's text as it came.
        model: the model that answered, by its own word.
        input_tokens: tokens of the prompt.
        output_tokens: tokens of the answer.
        latency_ms: milliseconds from first attempt to answer, retries included.
        attempts: calls made, 1 when the first succeeded; those to models that did not answer at all are not counted.
        response_id: the server's name for the answer, empty when it gave none.
        finish_reason: why the model stopped, by its own word.
        completions: answers that came back and are paid for: 2 when the first had to be repaired.
        cost_usd: US dollars for all of them; None when the model's price is unknown.
        is_cached: no model was asked: it had answered the same question before.
        is_fallback: another model than the one that was asked for answered, because that one was not available.
        confidence: how sure the choice that the request doubts is, 0 to 1; None where nobody knows.
        opinions: each answer that this one was made of, where the request doubts.
        cached_tokens: of `input_tokens`, those that the server still had from another prompt; they cost less.
        tool_calls: tools that the model asks for before it answers.
    """

    content: dict[str, Any]
    raw: str
    model: str
    input_tokens: int
    output_tokens: int
    latency_ms: float
    attempts: int = 1
    completions: int = 1
    cost_usd: float | None = None
    is_cached: bool = False
    is_fallback: bool = False
    response_id: str = ""
    finish_reason: str = ""
    cached_tokens: int = 0
    confidence: float | None = None
    opinions: tuple[Opinion, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()


class ChatModel(Protocol):
    """Answers questions in a declared shape."""

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """Ask the model.

        Raises:
            ModelUnavailableError: no answer within the attempts; trying later may help.
            ModelAnswerError: an answer that breaks the schema, also after one repair.
            ModelRefusedError: the model or its content filter declined to answer.
            ConfigurationError: the key or the model's name is wrong.
        """
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...
