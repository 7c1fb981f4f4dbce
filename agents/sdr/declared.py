"""What an agent's YAML file tells its module: its own settings, checked, and its instructions, rendered."""

from __future__ import annotations

from typing import TypeVar

import jinja2
from jinja2.sandbox import SandboxedEnvironment
from pydantic import BaseModel, ConfigDict, ValidationError

from pointsman.definitions import AgentDefinition
from pointsman.errors import ConfigurationError
from pointsman.models import ChatRequest
from pointsman.runtime import AgentContext

_TEMPLATES = SandboxedEnvironment(undefined=jinja2.StrictUndefined, autoescape=False)


class DeclaredSettings(BaseModel):
    """Base of a module's own settings: unknown keys and wrong types are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Declared = TypeVar("Declared", bound=DeclaredSettings)


def declared(kind: type[Declared], definition: AgentDefinition) -> Declared:
    """The `settings` of `definition`, checked.

    Raises:
        ConfigurationError: a key is missing, unknown or wrong; the text names the file and the key.
    """
    try:
        return kind.model_validate(definition.settings)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        key = ".".join(str(part) for part in ("settings", *first["loc"]))
        raise ConfigurationError(
            f"agent_definitions/{definition.name}.yaml: {key}: {first['msg']}",
            "correct the file and apply it again",
        ) from None


def instructions(definition: AgentDefinition, event_type: str) -> str:
    """The system turn that `definition` declares for messages of `event_type`.

    Raises:
        ConfigurationError: the definition has none, or they are no valid template.
    """
    where = f"agent_definitions/{definition.name}.yaml: instructions"
    if not definition.instructions:
        raise ConfigurationError(f"{where} are missing", "say there what the model is to write")
    try:
        template = _TEMPLATES.from_string(definition.instructions)
        return template.render(agent=definition.name, event_type=event_type).strip()
    except jinja2.TemplateError as error:
        raise ConfigurationError(f"{where}: {error}", "correct the template and apply it again") from None


def check_instructions(definition: AgentDefinition) -> None:
    """See at the start, not at the first message, that the instructions can be rendered for all accepted types.

    Raises:
        ConfigurationError: they cannot; the text names the file.
    """
    for accepted in definition.accepts:
        instructions(definition, accepted.type)


def question(context: AgentContext, *, system: str, user: str, schema: dict[str, object], name: str) -> ChatRequest:
    """A question to the model as the agent's definition wants it asked."""
    model = context.definition.model
    return ChatRequest(
        system=system,
        user=user,
        schema=schema,
        schema_name=name,
        model=model.name,
        temperature=model.temperature,
        max_output_tokens=model.max_output_tokens,
        timeout_s=model.timeout_s,
    )
