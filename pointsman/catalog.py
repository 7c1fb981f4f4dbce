"""The catalog: the set of agent definitions in force, and how it travels on the topic `agent_definitions`.

One record per agent, keyed by name, and one manifest that names the set and is written last, in the same transaction.
A reader takes a new catalog over when a manifest's whole set has arrived, so nobody ever decides with half a catalog.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final

from pydantic import ValidationError

from pointsman.definitions.model import AgentDefinition
from pointsman.envelope import Record
from pointsman.errors import ErrorReason, PermanentError
from pointsman.topics import DEFINITIONS

MANIFEST_KEY: Final = "@manifest"
ROLLOUT_KEY: Final = "@rollout"
"""Beside the catalog, so that both arrive in the order in which they were written: see `pointsman.rollouts`."""


@dataclass(frozen=True, kw_only=True)
class Catalog:
    """Definitions that are in force together.

    Attributes:
        sequence: grows by one with every apply; 0 is the empty catalog before the first.
        definitions: the definitions by agent name.
        retired: the last definitions of agents that were removed, as far as the topic still holds them. Nothing new is
            routed to those agents; a process that starts later can still work off what is queued for them, and what
            they declared terminal still completes a workflow.
        earlier: the definition that each agent had before its present one, as far as the reader has seen it: what was
            under way while the present one was applied was said by that one.
        also_terminal: event types that count as terminal beside those that a known definition declares so. For whoever
            makes an old decision again and no longer has the definitions of agents that were removed by then.
        published_as: the version that its manifest names, which an earlier release may have worked out; empty where no
            manifest was read.
    """

    sequence: int = 0
    definitions: Mapping[str, AgentDefinition] = field(default_factory=dict)
    retired: Mapping[str, AgentDefinition] = field(default_factory=dict, compare=False, repr=False)
    earlier: Mapping[str, AgentDefinition] = field(default_factory=dict, compare=False, repr=False)
    also_terminal: frozenset[str] = field(default=frozenset(), compare=False)
    published_as: str = field(default="", compare=False)

    @staticmethod
    def of(definitions: Iterable[AgentDefinition], sequence: int = 1) -> Catalog:
        """A catalog of `definitions`, sorted by name."""
        by_name = {definition.name: definition for definition in definitions}
        return Catalog(sequence=sequence, definitions=dict(sorted(by_name.items())))

    @cached_property
    def version(self) -> str:
        """Short hash of the content: equal for equal definitions, whatever the sequence."""
        if self.published_as:
            return self.published_as
        return hashlib.sha256(_canonical(self.digests).encode()).hexdigest()[:12]

    @cached_property
    def digests(self) -> dict[str, str]:
        """What tells each definition from every other, by agent name."""
        return {name: digest(definition) for name, definition in self.definitions.items()}

    @cached_property
    def terminal_types(self) -> frozenset[str]:
        """Event types that some definition declares terminal, the last ones of removed agents among them."""
        known = (*self.definitions.values(), *self.retired.values())
        declared = {emitted.type for definition in known for emitted in definition.emits if emitted.terminal}
        return self.also_terminal | declared

    def accepting(self, event_type: str) -> list[AgentDefinition]:
        """The definitions that list `event_type` among what they accept, by name."""
        return [definition for definition in self.definitions.values() if definition.accepted(event_type)]

    def records(self, previous: Catalog) -> list[Record]:
        """What to write, in this order and one transaction, to move readers from `previous` to this catalog."""
        changes = diff(previous, self)
        agents = [_record(name, definition_json(self.definitions[name])) for name in (*changes.added, *changes.changed)]
        removed = [_record(name, None) for name in changes.removed]
        return [*agents, *removed, _record(MANIFEST_KEY, self._manifest())]

    def _manifest(self) -> str:
        return _canonical({"sequence": self.sequence, "version": self.version, "agents": self.digests})


@dataclass(frozen=True, kw_only=True)
class CatalogDiff:
    """Agent names by what happened to them."""

    added: tuple[str, ...]
    changed: tuple[str, ...]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)


def diff(before: Catalog, after: Catalog) -> CatalogDiff:
    """Which agents `after` adds, changes and removes."""
    old, new = before.digests, after.digests
    return CatalogDiff(
        added=tuple(name for name in new if name not in old),
        changed=tuple(name for name in new if name in old and new[name] != old[name]),
        removed=tuple(name for name in old if name not in new),
    )


def definition_json(definition: AgentDefinition) -> str:
    """The definition as canonical JSON: sorted names, no white space."""
    return _canonical(definition.model_dump(mode="json"))


def digest(definition: AgentDefinition) -> str:
    """SHA-256 of the canonical JSON."""
    return hashlib.sha256(definition_json(definition).encode()).hexdigest()


class CatalogReader:
    """Puts catalogs together from the records of `agent_definitions`, in order.

    Feed it every record with `accept`; it answers with a catalog when one has become complete.
    """

    def __init__(self) -> None:
        self._definitions: dict[str, AgentDefinition] = {}
        self._written: dict[str, str] = {}
        self._retired: dict[str, AgentDefinition] = {}
        self._earlier: dict[str, AgentDefinition] = {}
        self._manifest: dict[str, Any] | None = None

    def accept(self, key: bytes | None, value: bytes | None) -> Catalog | None:
        """Take one record over; the new catalog if this record completes one, else None.

        Raises:
            PermanentError: the record is neither a definition nor a manifest; what was in force stays in force.
        """
        name = (key or b"").decode(errors="replace")
        if name == ROLLOUT_KEY:
            return None
        if name == MANIFEST_KEY:
            self._manifest = _parse_manifest(value)
        elif value is None:
            self._retire(name)
        else:
            definition = parse_definition(value)
            if definition.name != name:
                raise _invalid("the record key is not the agent's name")
            self._replace(definition)
            self._written[name] = hashlib.sha256(value).hexdigest()
        return self._complete()

    def _replace(self, definition: AgentDefinition) -> None:
        before = self._definitions.get(definition.name) or self._retired.get(definition.name)
        if before is not None and before != definition:
            self._earlier[definition.name] = before
        self._definitions[definition.name] = definition

    def _retire(self, name: str) -> None:
        definition = self._definitions.pop(name, None)
        if definition is not None:
            self._retired[name] = definition

    def _complete(self) -> Catalog | None:
        if self._manifest is None:
            return None
        wanted: Mapping[str, str] = self._manifest["agents"]
        have = {name: self._definitions[name] for name in wanted if name in self._definitions}
        if len(have) != len(wanted) or not all(self._is(definition, wanted) for definition in have.values()):
            return None
        sequence, published_as = self._manifest["sequence"], self._manifest["version"]
        self._manifest = None
        known = {**self._retired, **self._definitions}
        retired = {name: definition for name, definition in known.items() if name not in have}
        catalog = Catalog.of(have.values(), sequence)
        return replace(catalog, retired=retired, earlier=dict(self._earlier), published_as=published_as)

    def _is(self, definition: AgentDefinition, wanted: Mapping[str, str]) -> bool:
        """Whether the manifest means this definition, by the bytes on the topic or by what they say now.

        The two differ where the record is of another release than this code, whose definitions have other fields.
        """
        meant = wanted[definition.name]
        return meant == self._written[definition.name] or meant == digest(definition)


def parse_definition(value: bytes) -> AgentDefinition:
    """Read one definition record.

    Raises:
        PermanentError: it is no definition.
    """
    try:
        return AgentDefinition.model_validate_json(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the record"
        raise _invalid(f"{place}: {first['msg']}") from None


def _parse_manifest(value: bytes | None) -> dict[str, Any]:
    try:
        manifest = json.loads(value or b"")
        agents, sequence = manifest["agents"], manifest["sequence"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _invalid("the manifest is not readable") from None
    strings = isinstance(agents, dict) and all(isinstance(text, str) for text in agents.values())
    if not strings or not isinstance(sequence, int):
        raise _invalid("the manifest is not readable")
    version = manifest.get("version")
    return {"agents": agents, "sequence": sequence, "version": version if isinstance(version, str) else ""}


def _invalid(detail: str) -> PermanentError:
    return PermanentError(ErrorReason.INVALID_DEFINITION, detail)


def _record(key: str, text: str | None) -> Record:
    value = None if text is None else text.encode()
    return Record(topic=DEFINITIONS, key=key.encode(), value=value, headers={"content-type": b"application/json"})


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
