"""What agents may say: a message in an agent's name is held against what that agent's definition declares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pointsman.catalog import Catalog
from pointsman.contracts import Contract
from pointsman.definitions.model import AgentDefinition
from pointsman.envelope import AGENT_SOURCE, TASK_FAILED, Envelope, Payload
from pointsman.errors import ErrorReason

_LONGEST_TYPE: Final = 100


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why an agent may not say what it said.

    Attributes:
        code: for programs: `undeclared_transition` or `contract_violation`.
        reason: one sentence for a person.
    """

    code: str
    reason: str


class DeclaredOutputs:
    """What each agent declares that it emits, compiled once per catalog.

    Removed agents still count: their processes work off what is queued. So does the definition that an agent had before
    the present one, as far as it is known: what was under way while a new one was applied keeps the old one's word.

    Args:
        catalog: the definitions in force.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._by_agent: dict[str, list[dict[str, Contract | None]]] = {}
        for known in (catalog.retired, catalog.definitions, catalog.earlier):
            for name, definition in known.items():
                self._by_agent.setdefault(name, []).append(_outputs(definition))

    def refusal(self, message: Envelope) -> Refusal | None:
        """Why `message` is refused; None when it may pass, as everything does that is in no agent's name.

        That a task has failed is the runtime's word, in the name of whichever agent had it.
        """
        if not message.source.startswith(AGENT_SOURCE) or (message.event_type == TASK_FAILED and message.task):
            return None
        agent = message.source.removeprefix(AGENT_SOURCE)
        declared = self._by_agent.get(agent)
        if declared is None:
            # The name comes from outside and belongs to nobody: it could be anything.
            return _undeclared("it is in the name of an agent that no catalog has known")
        contracts = [outputs[message.event_type] for outputs in declared if message.event_type in outputs]
        if not contracts:
            return _undeclared(f"{agent} does not declare that it emits {message.event_type[:_LONGEST_TYPE]}")
        violation = _violation(contracts, message.payload)
        if violation is None:
            return None
        reason = f"{agent} breaks its own contract for {message.event_type}: {violation}"
        return Refusal(code=ErrorReason.CONTRACT_VIOLATION.value, reason=reason)


def _undeclared(reason: str) -> Refusal:
    return Refusal(code=ErrorReason.UNDECLARED_TRANSITION.value, reason=reason)


def _outputs(definition: AgentDefinition) -> dict[str, Contract | None]:
    return {entry.type: Contract.of(entry.contract) for entry in definition.emits}


def _violation(contracts: Sequence[Contract | None], payload: Payload) -> str | None:
    """What the first contract says when none takes `payload`."""
    found = ["it is no JSON Schema 2020-12" if each is None else each.violation(payload) for each in contracts]
    return None if None in found else found[0]
