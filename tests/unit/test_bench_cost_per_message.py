"""P10's arithmetic: what a question costs where the server still has its beginning, what a lead's way adds up to, and
what the local model first loses against the model behind it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from bench import labelled
from bench.benchmarks import cost_per_message as p10
from pointsman.catalog import Catalog
from pointsman.evaluation.dataset import Example
from pointsman.local_model import training
from pointsman.local_model.labelled import Labelled
from pointsman.models.port import ChatModel
from pointsman.routing.local_choice import LocalChoice
from pointsman.testing import ScriptedModel
from tests.unit.test_routing_router import ANYTHING, definition

TAKES_ALL = [{"type": kind, "contract": ANYTHING} for kind in p10.WAY]
AGENTS = [definition(name, accepts=TAKES_ALL) for name in ("boxes", "letters")]
EXAMPLES = [
    Example(
        id=f"{kind}-{number}", event_type=kind, payload={"text": f"{kind} {number}"}, source="s",
        answer="boxes" if number < 6 else "letters", category="clear" if number < 4 else "unclear",
    )
    for kind in p10.WAY
    for number in range(8)
]  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Repeats:
    """Says what it was told about a message, and of others what it always says."""

    version: str = "1"
    told: dict[str, str] = field(default_factory=dict)
    otherwise: str = ""

    def choose(self, event_type: str, payload: dict[str, Any], agents: Sequence[str]) -> LocalChoice | None:
        agent = self.told.get(payload["text"], self.otherwise)
        return LocalChoice(agent=agent, confidence=1, threshold=0.5) if agent in agents else None


def train_by_heart(examples: Sequence[Labelled], target: training.Target) -> Repeats:
    return Repeats(told={each.payload["text"]: each.answer for each in examples})


@asynccontextmanager
async def always_boxes() -> AsyncIterator[ChatModel]:
    yield ScriptedModel(lambda _: {"agent": "boxes", "reason": "as ever"})


def by_load(rows: Sequence[dict[str, Any]], system: str) -> dict[str, dict[str, Any]]:
    return {row["load"]: row for row in rows if row["system"] == system}


def test_only_a_long_beginning_is_cheaper_and_only_in_whole_steps() -> None:
    short = p10._asked("s" * 4 * 1023, "u" * 400)
    assert (short.tokens, short.billed) == (1123, 1123)
    long = p10._asked("s" * 4 * 1200, "u" * 400)
    assert long.tokens == 1300
    assert long.billed == pytest.approx(1300 - 1152 * 0.9)


def test_a_leads_way_is_one_message_of_each_type_that_belongs_to_an_agent() -> None:
    def taken(kind: str, tokens: int, answer: str | None = "a") -> tuple[Example, p10.Taken]:
        example = Example(id=f"{kind}{tokens}", event_type=kind, payload={}, answer=answer, source="s")
        return example, p10.Taken(tokens=tokens, billed=tokens / 2, is_right=None if tokens else True)

    took = [taken("lead.received", 0), taken("lead.profiled", 0), taken("campaign.drafted", 0)]
    took += [taken("lead.scored", 600), taken("lead.scored", 1000), taken("lead.scored", 9000, None)]
    row = p10._on_its_way("s", [*took, taken("lead.activity_noted", 500)])
    assert (row["calls_per_message"], row["tokens_per_message"], row["billed_per_message"]) == (0.25, 200, 100)
    assert (row["messages"], row["without_model"], row["without_model_right"]) == (5, 3, 3)


def test_no_message_is_judged_by_a_local_model_that_was_trained_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "train", train_by_heart)
    routers = {p10.LOCAL: p10.routers_that_have_not_seen(EXAMPLES, Catalog.of(AGENTS))}
    assert by_load(p10.rows(routers, AGENTS, EXAMPLES), p10.LOCAL)["all"]["without_model"] == 0


def test_the_local_model_first_is_held_against_the_same_model_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "train", lambda examples, target: Repeats(otherwise="letters"))
    monkeypatch.setattr(labelled, "_stand_in", always_boxes)
    rows = p10.measured(EXAMPLES, AGENTS)
    first, ours = by_load(rows, p10.LOCAL), by_load(rows, p10.OURS)
    assert {load: row["points_lost"] for load, row in first.items() if "points_lost" in row} == {
        "all": 75 - 25, "clear": 100, "unclear": 0,
    }  # fmt: skip
    assert (first["all"]["right_percent"], first["all"]["reachable_percent"]) == (25, 25)
    assert (ours["all"]["right_percent"], ours["all"]["points_lost"]) == (75, 0)
    assert by_load(rows, p10.ALWAYS)["all"].keys() >= {"right_percent"}
    assert "points_lost" not in by_load(rows, p10.ALWAYS)["all"]


def test_what_the_local_model_is_not_sure_of_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "train", lambda examples, target: Repeats())
    monkeypatch.setattr(labelled, "_stand_in", always_boxes)
    assert by_load(p10.measured(EXAMPLES, AGENTS), p10.LOCAL)["all"]["points_lost"] == 0
