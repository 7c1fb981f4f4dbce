"""Labelled messages that leave a choice: what contracts decide is nothing to learn from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pointsman.catalog import Catalog
from pointsman.envelope import Payload
from pointsman.evaluation.dataset import Example, fingerprint
from pointsman.local_model.model import NOBODY
from pointsman.routing.candidates import CandidateFinder, fitting


@dataclass(frozen=True, kw_only=True)
class Labelled:
    """A message that leaves a choice, and the right one.

    Attributes:
        event_type: its type.
        payload: its payload.
        agents: the candidates whose contract takes it.
        answer: the right one of them, or `NOBODY`.
    """

    event_type: str
    payload: Payload
    agents: tuple[str, ...]
    answer: str

    @property
    def fingerprint(self) -> str:
        """Tells whether a model has seen this message, without keeping it."""
        return fingerprint(self.event_type, self.payload)


def choices(examples: Iterable[Example], catalog: Catalog) -> list[Labelled]:
    """The examples whose payload the contracts of several agents take; whose answer is no candidate is for nobody."""
    finder = CandidateFinder(catalog)
    found = []
    for example in examples:
        agents = tuple(each.agent for each in fitting(finder.find(example.event_type, example.payload)))
        if len(agents) > 1:
            answer = example.answer if example.answer in agents else NOBODY
            found.append(Labelled(event_type=example.event_type, payload=example.payload, agents=agents, answer=answer))
    return found
