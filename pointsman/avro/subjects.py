"""What a set of definitions needs in the registry: one subject per event type, made of all contracts of that type."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pointsman.avro.codec import subject_of
from pointsman.avro.registry import Registered, Registry
from pointsman.avro.schema import AvroSchema, changes, following, schema_of
from pointsman.definitions.model import Accepts, AgentDefinition, Emits, JsonSchema
from pointsman.definitions.problems import Problem
from pointsman.definitions.source import Path, Source
from pointsman.errors import InvalidDefinitionsError


@dataclass(frozen=True, kw_only=True)
class _Contract:
    agent: str
    path: Path
    schema: JsonSchema


@dataclass(frozen=True, kw_only=True)
class _Step:
    """From the newest schema of a type to the one that its contracts ask for."""

    event_type: str
    registered: Registered | None
    wanted: AvroSchema

    @property
    def subject(self) -> str:
        return subject_of(self.event_type)

    @property
    def text(self) -> str:
        return json.dumps(self.wanted)

    @property
    def before(self) -> AvroSchema | None:
        """The newest schema; None where there is none, or one of another kind that somebody else has registered."""
        known = json.loads(self.registered.text) if self.registered and self.registered.text else None
        return known if isinstance(known, dict) and known.get("type") == "record" else None

    @property
    def is_change(self) -> bool:
        return self.before != self.wanted


def schemas(definitions: Iterable[AgentDefinition]) -> dict[str, AvroSchema]:
    """The Avro schema of every event type that `definitions` name."""
    return {
        event_type: schema_of(event_type, (contract.schema for contract in contracts))
        for event_type, contracts in _contracts(definitions).items()
    }


def problems(
    registry: Registry, definitions: Iterable[AgentDefinition], sources: Mapping[str, Source] | None = None
) -> list[Problem]:
    """Which contracts cannot follow what is registered: old messages could not be read any more.

    Args:
        registry: where schemas are.
        definitions: all that would be in force at the same time.
        sources: their files by agent name, for line and column.

    Raises:
        RegistryUnavailableError: it does not answer.
        ConfigurationError: it refuses the login.
    """
    contracts = _contracts(definitions)
    return [
        problem
        for step in _steps(registry, contracts)
        if step.is_change and not registry.takes(step.subject, step.text)
        for problem in _problems(step, contracts[step.event_type], sources or {})
    ]


def register(registry: Registry, definitions: Iterable[AgentDefinition]) -> None:
    """Register the schemas of `definitions`; all can follow what is registered, or none is registered.

    Raises:
        InvalidDefinitionsError: a contract cannot follow what is registered.
        RegistryUnavailableError: the registry does not answer.
        ConfigurationError: it refuses the login.
    """
    definitions = list(definitions)
    found = problems(registry, definitions)
    if found:
        raise InvalidDefinitionsError(found)
    for step in _steps(registry, _contracts(definitions)):
        if step.is_change:
            registry.register(step.subject, step.text)


def _contracts(definitions: Iterable[AgentDefinition]) -> dict[str, list[_Contract]]:
    found: dict[str, list[_Contract]] = defaultdict(list)
    for definition in sorted(definitions, key=lambda one: one.name):
        listed: dict[str, Sequence[Accepts | Emits]] = {"accepts": definition.accepts, "emits": definition.emits}
        for kind, entries in listed.items():
            for index, entry in enumerate(entries):
                path: Path = (kind, index, "contract")
                found[entry.type].append(_Contract(agent=definition.name, path=path, schema=entry.contract))
    return dict(sorted(found.items()))


def _steps(registry: Registry, contracts: Mapping[str, list[_Contract]]) -> Iterator[_Step]:
    for event_type, named in contracts.items():
        wanted = schema_of(event_type, (contract.schema for contract in named))
        registered = registry.latest(subject_of(event_type))
        step = _Step(event_type=event_type, registered=registered, wanted=wanted)
        before = step.before
        yield _Step(event_type=event_type, registered=registered, wanted=following(before, wanted)) if before else step


def _problems(step: _Step, contracts: list[_Contract], sources: Mapping[str, Source]) -> Iterator[Problem]:
    found = list(changes(step.before, step.wanted)) if step.before else []
    # The registry may be stricter than BACKWARD, and only it knows in what.
    for field, what in found or [("", "has changed in a way that the registry refuses")]:
        name = field.partition(".")[0]
        concerned = [one for one in contracts if name in one.schema.get("properties", {})] or contracts
        where = f"field {field} of {step.event_type}" if field else step.event_type
        agents = ", ".join(sorted({one.agent for one in concerned}))
        remedy = "do not require it" if "required" in what else "leave it as it was"
        message = (
            f"{where} {what} (in the contracts of {agents}), and messages written before must stay readable: "
            f"{remedy}, or give the event a new type"
        )
        yield _problem(concerned[0], name, message, sources)


def _problem(contract: _Contract, name: str, message: str, sources: Mapping[str, Source]) -> Problem:
    source = sources.get(contract.agent)
    if source is None:
        return Problem(path=f"agent {contract.agent}", message=message)
    path: tuple[Any, ...] = (*contract.path, "properties", name) if name else contract.path
    return source.problem(source.key_place(path), message)
