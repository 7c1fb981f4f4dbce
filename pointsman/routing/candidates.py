"""Which agents could take a message: compiled once per catalog, asked for every message."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from pointsman.catalog import Catalog
from pointsman.contracts import Contract
from pointsman.definitions.model import AgentDefinition
from pointsman.envelope import Payload
from pointsman.routing.decision import Candidate

FITS: Final = "the contract takes the message"


_NO_SCHEMA: Final = "its contract for this event type is no JSON Schema 2020-12"


@dataclass(frozen=True, kw_only=True, slots=True)
class _Takers:
    """The agents that list one event type. Of hundreds of agents many share a contract: each is asked once.

    Attributes:
        fits: what to say of each where its contract takes a message, by name of the agent.
        contract_of: for each of them its contract, one of `contracts`.
        contracts: the different contracts among them; None is one that is no JSON Schema.
    """

    fits: tuple[Candidate, ...]
    contract_of: tuple[Contract | None, ...]
    contracts: tuple[Contract | None, ...]

    def look_at(self, payload: Payload) -> tuple[Candidate, ...]:
        broken = {each: why for each in self.contracts if (why := _violation(each, payload)) is not None}
        if not broken:
            return self.fits
        looked_at = zip(self.fits, self.contract_of, strict=True)
        return tuple(
            replace(fits, fits=False, why=broken[contract]) if contract in broken else fits
            for fits, contract in looked_at
        )


class CandidateFinder:
    """Finds the agents that list an event type and asks the contract of each.

    Args:
        catalog: the definitions in force.
    """

    def __init__(self, catalog: Catalog) -> None:
        compiled: dict[str, Contract | None] = {}
        listed: dict[str, list[tuple[Candidate, Contract | None]]] = {}
        for _, definition in sorted(catalog.definitions.items()):
            for entry in definition.accepts:
                text = json.dumps(entry.contract)
                if text not in compiled:
                    compiled[text] = Contract.of(entry.contract)
                listed.setdefault(entry.type, []).append((_fits(definition), compiled[text]))
        self._by_type = {kind: _takers(agents) for kind, agents in listed.items()}

    def find(self, event_type: str, payload: Payload) -> tuple[Candidate, ...]:
        """Every agent that lists `event_type`, by name, and whether its contract takes `payload`."""
        takers = self._by_type.get(event_type)
        return takers.look_at(payload) if takers else ()


def fitting(candidates: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """Those whose contract takes the message."""
    return tuple(candidate for candidate in candidates if candidate.fits)


def _takers(agents: Sequence[tuple[Candidate, Contract | None]]) -> _Takers:
    contracts = tuple(contract for _, contract in agents)
    return _Takers(
        fits=tuple(fits for fits, _ in agents), contract_of=contracts, contracts=tuple(dict.fromkeys(contracts))
    )


def _fits(definition: AgentDefinition) -> Candidate:
    return Candidate(
        agent=definition.name,
        version=definition.version,
        fits=True,
        why=FITS,
        needs_approval=definition.approval == "required",
    )


def _violation(contract: Contract | None, payload: Payload) -> str | None:
    return _NO_SCHEMA if contract is None else contract.violation(payload)
