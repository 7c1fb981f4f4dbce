"""How far a workflow may go before a person looks, by the type of its first message.

`workflow_limits.toml` has a table for every workflow (`[default]`) and one per first event type that differs from it:

    [default]
    model_calls = 20

    ["lead.received"]
    age_h = 2160
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pointsman.errors import ConfigurationError
from pointsman.usage import Budget, microusd

DEFAULT: Final = "default"
_MOST_BYTES: Final = 64 * 1024


class WorkflowLimits(BaseModel):
    """What one workflow may come to. Zero lifts a bound of `model_calls`, `tokens`, `cost_usd` and `age_h`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    steps: int = Field(default=100, ge=1, le=100_000, description="Messages of the workflow.")
    hops: int = Field(default=12, ge=1, le=1000, description="Length of the chain from message to answer.")
    visits: int = Field(default=2, ge=1, le=1000, description="How often one agent may say the same.")
    fan_out: int = Field(default=50, ge=0, le=100_000, description="Answers beyond the first to each message, summed.")
    model_calls: int = Field(default=20, ge=0, le=1_000_000, description="Answers of models, routing included.")
    tokens: int = Field(default=200_000, ge=0, le=10**12, description="Tokens of prompts and answers.")
    cost_usd: float = Field(default=0.5, ge=0, le=1_000_000, allow_inf_nan=False, description="US dollars.")
    age_h: float = Field(default=24.0, ge=0, le=1_000_000, allow_inf_nan=False, description="Hours since it began.")

    @property
    def budget(self) -> Budget:
        """What its models may use."""
        return Budget(
            calls=self.model_calls or None,
            tokens=self.tokens or None,
            cost_microusd=microusd(self.cost_usd) or None,
        )


class LimitsByType:
    """The limits of every workflow.

    Args:
        tables: what differs from the built-in limits: for every workflow under `default`, else by the event type of a
            workflow's first message.

    Raises:
        ConfigurationError: a table or a value in it is none.
    """

    def __init__(self, tables: Mapping[str, Any] | None = None) -> None:
        self._tables = dict(tables or {})
        basis = _table(self._tables, DEFAULT)
        self.default = _limits(DEFAULT, basis)
        self._by_type = {
            name: _limits(name, {**basis, **_table(self._tables, name)}) for name in self._tables if name != DEFAULT
        }

    def of(self, workflow_type: str) -> WorkflowLimits:
        """The limits of a workflow whose first message was of `workflow_type`."""
        return self._by_type.get(workflow_type, self.default)

    def to_json(self) -> str:
        """As one text, for the job's arguments; `from_json` reads it back."""
        return json.dumps(self._tables, sort_keys=True) if self._tables else ""

    @staticmethod
    def from_json(text: str) -> LimitsByType:
        """Read what `to_json` wrote.

        Raises:
            ConfigurationError: it is no JSON object, or holds what is no limit.
        """
        try:
            tables = json.loads(text) if text else {}
        except ValueError:
            raise ConfigurationError("the workflow limits are no JSON") from None
        if not isinstance(tables, dict):
            raise ConfigurationError("the workflow limits are no JSON object")
        return LimitsByType(tables)

    @staticmethod
    def read(file: Path) -> LimitsByType:
        """Read a file of limits; the built-in ones when there is no file.

        Raises:
            ConfigurationError: it cannot be read, or holds what is no limit.
        """
        if not file.exists():
            return LimitsByType()
        try:
            with file.open("rb") as opened:
                text = opened.read(_MOST_BYTES).decode()
            return LimitsByType(tomllib.loads(text))
        except ConfigurationError as error:
            raise ConfigurationError(f"{file}: {error.what}", error.remedy) from None
        except (OSError, ValueError) as error:
            # The error of a TOML parser says line and column; a file that is not UTF-8 or not there says so.
            raise ConfigurationError(f"{file}: the workflow limits cannot be read: {error}") from None


def _table(tables: Mapping[str, Any], name: str) -> dict[str, Any]:
    table = tables.get(name, {})
    if not isinstance(table, dict):
        raise ConfigurationError(f"{name} is no table of limits", 'write ["event.type"] above its limits')
    return {key: float(value) if key in _FRACTIONS and type(value) is int else value for key, value in table.items()}


_FRACTIONS: Final = {name for name, each in WorkflowLimits.model_fields.items() if each.annotation is float}


def _limits(name: str, table: dict[str, Any]) -> WorkflowLimits:
    try:
        return WorkflowLimits.model_validate(table)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        known = ", ".join(WorkflowLimits.model_fields)
        raise ConfigurationError(f"limit {place} of {name}: {first['msg']}", f"there are {known}") from None
