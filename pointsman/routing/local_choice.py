"""Where a small model on this machine decides: because it is sure enough, or because no chat model answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pointsman.envelope import Payload
from pointsman.routing.candidates import fitting
from pointsman.routing.decision import Candidate


@dataclass(frozen=True, kw_only=True)
class LocalChoice:
    """What the local model says about one message.

    Attributes:
        agent: the candidate that it would choose.
        confidence: how probable it is that this is right, 0 to 1, calibrated on messages that it was not trained on.
        threshold: what the confidence must reach for messages of this type; above 1 it never does.
        because: what spoke for the choice, the strongest first.
    """

    agent: str
    confidence: float
    threshold: float
    because: tuple[str, ...] = ()

    @property
    def is_sure(self) -> bool:
        """Whether the choice may be acted on."""
        return self.confidence >= self.threshold

    @property
    def reason(self) -> str:
        """One sentence for a person."""
        facts = f": {', '.join(self.because)}" if self.because else ""
        return f"the local model is {self.confidence:.2f} sure (needs {self.threshold:.2f}){facts}"


class LocalChooser(Protocol):
    """Chooses among candidates without asking anybody, within a millisecond."""

    @property
    def version(self) -> str:
        """What tells it from every other one, for the decision log."""
        ...

    def choose(self, event_type: str, payload: Payload, agents: Sequence[str]) -> LocalChoice | None:
        """Choose one of `agents`; None when it does not know all of them, so that it cannot weigh them."""
        ...


def sure_choice(
    chooser: LocalChooser | None, event_type: str, payload: Payload, candidates: Sequence[Candidate]
) -> LocalChoice | None:
    """What `chooser` chooses among the candidates whose contract takes the message, if it is sure."""
    if chooser is None:
        return None
    choice = chooser.choose(event_type, payload, [each.agent for each in fitting(candidates)])
    return choice if choice is not None and choice.is_sure else None
