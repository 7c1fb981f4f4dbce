"""How an agent asks its model: its definition's instructions as the system turn, and its choice of model."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import jinja2
from jinja2.sandbox import SandboxedEnvironment

from pointsman.definitions import AgentDefinition
from pointsman.envelope import DEFAULT_PRIORITY
from pointsman.errors import ConfigurationError
from pointsman.models import ChatRequest

_TEMPLATES: Final = SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)


def question(
    definition: AgentDefinition,
    event_type: str,
    *,
    user: str,
    schema: dict[str, Any],
    name: str,
    priority: int = DEFAULT_PRIORITY,
) -> ChatRequest:
    """A question to the model about a message of `event_type`, as `definition` wants it asked.

    Args:
        definition: the agent's.
        event_type: what the instructions are rendered for.
        user: the data, as JSON text.
        schema: JSON Schema of the answer.
        name: the schema's name.
        priority: the message's, 0 to 9.

    Raises:
        ConfigurationError: there are no instructions, or they do not render.
    """
    choice = definition.model
    return ChatRequest(
        system=system_turn(definition, event_type),
        user=user,
        schema=schema,
        schema_name=name,
        model=choice.name,
        temperature=choice.temperature,
        max_output_tokens=choice.max_output_tokens,
        timeout_s=choice.timeout_s,
        priority=priority,
    )


def check_instructions(definition: AgentDefinition) -> None:
    """See at the start, not at the first message, that the instructions render for all accepted types.

    Raises:
        ConfigurationError: they do not, or there are none.
    """
    for accepted in definition.accepts:
        system_turn(definition, accepted.type)


def system_turn(definition: AgentDefinition, event_type: str) -> str:
    """The rendered instructions; a payload is never rendered into them.

    Raises:
        ConfigurationError: there are none, or they do not render.
    """
    if not definition.instructions:
        remedy = f"say there what the model is to write, or write a module agents/{definition.name}.py"
        raise ConfigurationError(f"agent_definitions/{definition.name}.yaml: instructions are missing", remedy)
    return _rendered(definition.instructions, definition.name, event_type)


@lru_cache(maxsize=256)
def _rendered(template: str, agent: str, event_type: str) -> str:
    try:
        return _TEMPLATES.from_string(template).render(agent=agent, event_type=event_type).strip()
    except (jinja2.TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        what = f"agent_definitions/{agent}.yaml: instructions do not render: {type(error).__name__}"
        raise ConfigurationError(what, "the variables are agent and event_type; correct it and apply again") from None
