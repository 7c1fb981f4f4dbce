"""The way of a workflow is put together from messages and decisions, in any order, bounded, without addresses."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pointsman.envelope import Record
from pointsman.journeys import MAX_HOPS, Journeys
from pointsman.routing.decision import Method, Outcome
from pointsman.topics import DECISIONS, MESSAGES
from tests.journey_records import decision, message


def test_a_hop_joins_the_message_and_its_decision_in_any_order() -> None:
    records = [message("w", 1, "lead.scored"), decision("w", 1, "lead.scored"), message("w", 2, "campaign.drafted")]
    told = []
    for order in permutations(records):
        journeys = Journeys()
        for record in order:
            journeys.feed(record)
            journeys.feed(record)  # repeats change nothing
        told.append(journeys.get("w"))
    assert all(journey == told[0] for journey in told)
    assert told[0] is not None
    first, second = told[0].hops
    assert (first.source, first.agent, first.outcome, first.how) == (
        "lead_scoring",
        "active_outreach",
        Outcome.ROUTED,
        Method.MODEL,
    )
    assert first.reason == "It asks for a demo."
    assert first.candidates == (("active_outreach", True, "keeps its contract"),)
    assert first.decided_at is not None
    assert first.written_at is not None
    assert first.decided_at - first.written_at == timedelta(milliseconds=200)
    assert second.outcome is None
    assert told[0].stage == "at the router"
    assert not told[0].is_over


def test_the_stage_says_where_it_stands() -> None:
    for told, stage, over in (
        ({}, "with active_outreach", False),
        ({"outcome": "completed", "agent": None}, "email.sent", True),
        ({"outcome": "abstained", "agent": None}, "waits for a person", True),
        ({"outcome": "rejected", "agent": None}, "dead letter", True),
    ):
        journeys = Journeys()
        journeys.feed(decision("w", 1, "email.sent", **told))
        journey = journeys.get("w")
        assert journey is not None
        assert (journey.stage, journey.is_over) == (stage, over)


def test_the_title_is_the_company_or_a_masked_address() -> None:
    journeys = Journeys()
    journeys.feed(message("w", 1, "lead.received", {"company": "Acme  GmbH", "email": "ann@acme.example"}))
    journeys.feed(message("v", 1, "lead.received", {"company": " ", "email": "ann@acme.example"}))
    journeys.feed(message("u", 1, "lead.received", {"company": 7}))
    titles = {journey.workflow_id: journey.title for journey in journeys.all()}
    assert titles == {"w": "Acme GmbH", "v": "a***@acme.example", "u": ""}


def test_addresses_in_reasons_are_masked() -> None:
    journeys = Journeys()
    journeys.feed(decision("w", 1, "lead.scored", reason="Write to ann@acme.example now"))
    assert "ann@" not in str(journeys.get("w"))


def test_the_latest_touched_comes_first_and_the_oldest_are_forgotten() -> None:
    journeys = Journeys(most=3)
    for number in range(5):
        journeys.feed(message(f"w{number}", number, "lead.received"))
    assert [journey.workflow_id for journey in journeys.all()] == ["w4", "w3", "w2"]
    assert journeys.get("w0") is None


def test_an_endless_workflow_keeps_its_latest_hops() -> None:
    journeys = Journeys()
    for number in range(MAX_HOPS + 10):
        journeys.feed(message("w", number, "a.b"))
    journey = journeys.get("w")
    assert journey is not None
    assert [hop.message_id for hop in journey.hops] == [f"w-{number}" for number in range(10, MAX_HOPS + 10)]


def test_decisions_on_what_is_no_message_are_counted_once_each() -> None:
    journeys = Journeys()
    garbage = decision("w", 1, "a.b", workflow_id=None, message_id=None)
    journeys.feed(garbage)
    journeys.feed(garbage)
    assert journeys.unreadable == 1
    assert journeys.all() == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)


@given(
    told=st.dictionaries(
        st.sampled_from([
            "outcome", "how", "agent", "reason", "candidates", "model_call", "decided_at", "offset", "partition",
            "event_type", "source", "workflow_id", "message_id", "catalog_sequence",
        ]),
        JSON,
    ),
    raw=st.binary(max_size=30),
)  # fmt: skip
def test_no_decision_makes_it_raise(told: dict[str, Any], raw: bytes) -> None:
    journeys = Journeys()
    journeys.feed(message("w", 1, "a.b"))
    journeys.feed(decision("w", 1, "a.b", **told))
    journeys.feed(Record(topic=DECISIONS, key=None, value=raw, headers={}))
    journeys.feed(Record(topic=MESSAGES, key=None, value=raw, headers={"ce_type": raw}))
    for journey in journeys.all():
        assert journey.stage
        str(journey.began_at)
