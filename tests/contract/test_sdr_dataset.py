"""The data set of the SDR catalog is what its README says: readable, many-sided, and plausible by the contracts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from pointsman.catalog import Catalog
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.evaluation.dataset import Example, read_dataset
from pointsman.routing import Counters, Decision, Outcome, Router
from pointsman.routing.candidates import CandidateFinder, fitting
from tests.unit.test_routing_router import NOW, message

ROOT = Path(__file__).parents[2]
EXAMPLES = read_dataset(ROOT / "examples" / "evaluation" / "sdr.jsonl")
CATALOG = Catalog.of(load_folder_or_raise(ROOT / "agent_definitions").definitions)
FEWEST = {
    "clear": 120, "several_fit": 20, "ambiguous": 20, "nobody": 40, "contract_violation": 30, "other_language": 50,
    "injected": 25,
}  # fmt: skip


def candidates(example: Example) -> set[str]:
    found = CandidateFinder(CATALOG).find(example.event_type, example.payload)
    return {each.agent for each in fitting(found)}


def test_there_are_enough_of_each_category() -> None:
    counted = Counter(example.category for example in EXAMPLES)
    assert set(counted) == set(FEWEST)
    assert {name: count for name, count in counted.items() if count < FEWEST[name]} == {}
    assert len(EXAMPLES) >= 300


def test_no_message_stands_there_twice() -> None:
    texts = [str(example.payload.get("text", example.payload)) for example in EXAMPLES]
    assert [text for text, times in Counter(texts).items() if times > 1] == []


def test_each_label_has_a_reason_and_a_source() -> None:
    assert [example.id for example in EXAMPLES if not (example.reason and example.source)] == []


def test_every_agent_is_an_answer_and_so_is_nobody() -> None:
    assert {example.answer for example in EXAMPLES} == {*CATALOG.definitions, None}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_the_answer_is_possible_by_the_contracts(example: Example) -> None:
    assert example.answer is None or example.answer in candidates(example)
    if example.category == "contract_violation":
        assert (example.answer, candidates(example)) == (None, set())
        prepared = Router(CATALOG).prepare(
            message(example.payload, event_type=example.event_type), Counters(step=1), NOW
        )
        assert isinstance(prepared, Decision)
        assert prepared.outcome is Outcome.REJECTED
