"""The declarative agent: a definition's instructions and contracts are all there is; no module.

The instructions become the system turn, the payload the user turn, the output contract the schema that the model's
answer must keep. The payload is data: it is never rendered into the instructions.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pointsman.definitions import AgentDefinition, Emits
from pointsman.envelope import Envelope, Payload
from pointsman.knowledge import NO_KNOWLEDGE, Retriever
from pointsman.models import ChatAnswer, ChatModel, ChatRequest
from pointsman.runtime.agent import Agent, AgentContext, Reply
from pointsman.runtime.asking import check_instructions, question
from pointsman.runtime.grounding import as_data, passages_for
from pointsman.runtime.tool_using import ToolUsingAgent
from pointsman.tools import toolbox_of

_ANSWER: Final = "answer"


def build(context: AgentContext) -> Agent:
    """The declarative agent of `context.definition`, with tools where it declares some.

    Raises:
        ConfigurationError: it has no instructions, they do not render, or what its tools need is missing.
    """
    definition = context.definition
    check_instructions(definition)
    plain = DeclarativeAgent(definition=definition, model=context.model, knowledge=context.knowledge)
    if not definition.tools:
        return plain
    toolbox = toolbox_of(definition, context.telemetry)
    return ToolUsingAgent(plain=plain, toolbox=toolbox, effects_allowed=context.effects_allowed)


@dataclass(frozen=True, kw_only=True)
class DeclarativeAgent:
    """Asks the model for what the definition emits.

    Attributes:
        definition: the definition.
        model: the chat model.
        knowledge: the team's own documents.
    """

    definition: AgentDefinition
    model: ChatModel
    knowledge: Retriever = NO_KNOWLEDGE

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        """Answer with what the model makes of `message`.

        Raises:
            ModelUnavailableError: no answer; the runtime tries again.
            StoreUnavailableError: no answer of the documents that it declares; the runtime tries again.
            ModelAnswerError: an answer that breaks the output contract.
        """
        return self.replies(await self.model.complete(await self.question(message)))

    async def question(self, message: Envelope) -> ChatRequest:
        """What the model is asked about `message`.

        Raises:
            StoreUnavailableError: no answer of the documents that it declares.
        """
        data = {"event_type": message.event_type, "payload": message.payload}
        passages = await passages_for(self.definition, self.knowledge, " ".join(_texts(message.payload)))
        return question(
            self.definition,
            message.event_type,
            user=json.dumps({**data, **as_data(passages)}, ensure_ascii=False),
            schema=answer_schema(self.definition.emits),
            name=self.definition.name,
            priority=message.priority,
        )

    def replies(self, answer: ChatAnswer) -> list[Reply]:
        """What the model's answer says."""
        event_type, payload = _chosen(self.definition.emits, answer.content)
        return [Reply(event_type=event_type, payload=payload)]


def answer_schema(emits: Sequence[Emits]) -> dict[str, Any]:
    """The schema of the model's answer: the one contract as it is, or a choice among several event types."""
    if len(emits) == 1:
        return emits[0].contract
    choices = [_choice(index, entry) for index, entry in enumerate(emits)]
    return _object({_ANSWER: {"anyOf": choices}})


def _choice(index: int, entry: Emits) -> dict[str, Any]:
    place = f"#/properties/{_ANSWER}/anyOf/{index}/properties/payload"
    payload = _moved({name: value for name, value in entry.contract.items() if name not in ("$schema", "$id")}, place)
    return _object({"event_type": {"type": "string", "const": entry.type}, "payload": payload})


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _moved(schema: Any, place: str) -> Any:
    """`schema` with its own references (`#/...`) turned to where it now stands."""
    if isinstance(schema, list):
        return [_moved(part, place) for part in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {name: _moved(part, place) for name, part in schema.items()}
    reference = schema.get("$ref")
    if isinstance(reference, str) and reference.startswith("#"):
        moved["$ref"] = place + reference[1:]
    return moved


def _texts(value: Any) -> Iterator[str]:
    """All texts of a payload: what documents are searched for."""
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _texts(inner)


def _chosen(emits: Sequence[Emits], content: dict[str, Any]) -> tuple[str, Payload]:
    if len(emits) == 1:
        return emits[0].type, content
    answer = content[_ANSWER]
    return answer["event_type"], answer["payload"]
