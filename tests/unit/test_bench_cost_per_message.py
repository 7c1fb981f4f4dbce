"""P10's arithmetic: what a question costs where the server still has its beginning, what a lead's way adds up to."""

from __future__ import annotations

import pytest

from bench.benchmarks import cost_per_message as p10
from pointsman.evaluation.dataset import Example


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
