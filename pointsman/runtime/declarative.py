"""The declarative agent: a definition's instructions and contracts are all there is; no module.

The instructions become the system turn, the payload the user turn, the output contract the schema that the model's
answer must keep. The payload is data: it is never rendered into the instructions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from pointsman.definitions import AgentDefinition, Emits
from pointsman.envelope import Envelope, Payload
from pointsman.errors import ConfigurationError
from pointsman.models import ChatModel, ChatRequest
from pointsman.runtime.agent import AgentContext, Reply

_TEMPLATES: Final = SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)
_ANSWER: Final = "answer"


def build(context: AgentContext) -> DeclarativeAgent:
    """The declarative agent of `context.definition`.

    Raises:
        ConfigurationError: it has no instructions, or they do not render.
    """
    definition = context.definition
    if not definition.instructions:
        what = f"agent {definition.name} has neither a module agents/{definition.name}.py nor instructions"
        raise ConfigurationError(what, "write one of the two")
    turns = {entry.type: _system_turn(definition, entry.type) for entry in definition.accepts}
    return DeclarativeAgent(definition=definition, model=context.model, system_turns=turns)


@dataclass(frozen=True, kw_only=True)
class DeclarativeAgent:
    """Asks the model for what the definition emits.

    Attributes:
        definition: the definition.
        model: the chat model.
        system_turns: the rendered instructions by event type.
    """

    definition: AgentDefinition
    model: ChatModel
    system_turns: dict[str, str]

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        """Answer with what the model makes of `message`.

        Raises:
            ModelUnavailableError: no answer; the runtime tries again.
            ModelAnswerError: an answer that breaks the output contract.
        """
        choice = self.definition.model
        request = ChatRequest(
            system=self.system_turns[message.event_type],
            user=json.dumps({"event_type": message.event_type, "payload": message.payload}, ensure_ascii=False),
            schema=answer_schema(self.definition.emits),
            schema_name=self.definition.name,
            model=choice.name,
            temperature=choice.temperature,
            max_output_tokens=choice.max_output_tokens,
            timeout_s=choice.timeout_s,
            priority=message.priority,
        )
        answer = await self.model.complete(request)
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


def _chosen(emits: Sequence[Emits], content: dict[str, Any]) -> tuple[str, Payload]:
    if len(emits) == 1:
        return emits[0].type, content
    answer = content[_ANSWER]
    return answer["event_type"], answer["payload"]


def _system_turn(definition: AgentDefinition, event_type: str) -> str:
    try:
        template = _TEMPLATES.from_string(definition.instructions or "")
        return template.render(agent=definition.name, event_type=event_type)
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        what = f"instructions of agent {definition.name} do not render: {type(error).__name__}"
        raise ConfigurationError(what, "variables are agent and event_type") from None
