"""Which agents could take a message: compiled once per catalog, asked for every message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pointsman.catalog import Catalog
from pointsman.contracts import Contract
from pointsman.definitions.model import AgentDefinition
from pointsman.envelope import Payload
from pointsman.routing.decision import Candidate

FITS: Final = "the contract takes the message"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Acceptor:
    """One agent that lists one event type.

    Attributes:
        definition: the agent.
        contract: its compiled contract for the type; None when that is no JSON Schema.
    """

    definition: AgentDefinition
    contract: Contract | None

    def look_at(self, payload: Payload) -> Candidate:
        why = self._violation(payload)
        return Candidate(
            agent=self.definition.name,
            version=self.definition.version,
            fits=why is None,
            why=why or FITS,
            needs_approval=self.definition.approval == "required",
        )

    def _violation(self, payload: Payload) -> str | None:
        if self.contract is None:
            return "its contract for this event type is no JSON Schema 2020-12"
        return self.contract.violation(payload)


class CandidateFinder:
    """Finds the agents that list an event type and asks the contract of each.

    Args:
        catalog: the definitions in force.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._by_type: dict[str, list[_Acceptor]] = {}
        for name in sorted(catalog.definitions):
            self._add(catalog.definitions[name])

    def find(self, event_type: str, payload: Payload) -> tuple[Candidate, ...]:
        """Every agent that lists `event_type`, by name, and whether its contract takes `payload`."""
        return tuple(acceptor.look_at(payload) for acceptor in self._by_type.get(event_type, ()))

    def _add(self, definition: AgentDefinition) -> None:
        for entry in definition.accepts:
            acceptor = _Acceptor(definition=definition, contract=Contract.of(entry.contract))
            self._by_type.setdefault(entry.type, []).append(acceptor)


def fitting(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Those whose contract takes the message."""
    return tuple(candidate for candidate in candidates if candidate.fits)
