"""What an agent's YAML file tells its module: its own settings, checked."""

from __future__ import annotations

from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pointsman.definitions import AgentDefinition
from pointsman.errors import ConfigurationError


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
