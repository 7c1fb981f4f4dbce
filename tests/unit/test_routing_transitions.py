"""What agents may say, and what the router refuses because no definition declares it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.catalog import Catalog, CatalogReader
from pointsman.definitions import AgentDefinition
from pointsman.envelope import Envelope
from pointsman.routing import Counters, Decision, Outcome, Router
from pointsman.routing.transitions import DeclaredOutputs

NOW = datetime(2030, 1, 2, tzinfo=UTC)
SCORE = {"type": "object", "properties": {"score": {"type": "integer"}}, "required": ["score"]}


def definition(name: str = "scale", version: str = "1.0.0", **types: dict[str, Any]) -> AgentDefinition:
    declared = types or {"parcel_weighed": SCORE}
    return AgentDefinition.model_validate(
        {
            "name": name,
            "version": version,
            "description": "Weighs.",
            "accepts": [{"type": "parcel.seen", "contract": {"type": "object"}}],
            "emits": [{"type": each.replace("_", "."), "contract": contract} for each, contract in declared.items()],
        }
    )


def said(event_type: str = "parcel.weighed", payload: dict[str, Any] | None = None, **fields: Any) -> Envelope:
    plain = Envelope(
        id="m-1", source="/agents/scale", event_type=event_type, workflow_id="w-1", payload=payload or {"score": 7},
        time=NOW,
    )  # fmt: skip
    return replace(plain, **fields)


def refused(catalog: Catalog, message: Envelope) -> tuple[str, str] | None:
    refusal = DeclaredOutputs(catalog).refusal(message)
    return (refusal.code, refusal.reason) if refusal else None


def test_an_agent_may_say_what_its_definition_declares() -> None:
    assert refused(Catalog.of([definition()]), said()) is None


def test_a_type_that_the_agent_does_not_declare_is_refused_also_where_another_agent_declares_it() -> None:
    other = definition("other", parcel_sent={"type": "object"})
    code, reason = refused(Catalog.of([definition(), other]), said("parcel.sent")) or ("", "")
    assert code == "undeclared_transition"
    assert reason == "scale does not declare that it emits parcel.sent"


def test_an_answer_that_breaks_its_own_contract_is_refused_without_a_value_in_the_reason() -> None:
    code, reason = refused(Catalog.of([definition()]), said(payload={"score": "kim@example.com"})) or ("", "")
    assert code == "contract_violation"
    assert "score breaks" in reason
    assert "kim" not in reason


def test_whoever_was_never_applied_is_refused_and_not_quoted() -> None:
    code, reason = refused(Catalog.of([definition()]), said(source="/agents/kim@example.com")) or ("", "")
    assert code == "undeclared_transition"
    assert "kim" not in reason


def test_a_removed_agent_still_counts() -> None:
    assert refused(Catalog(sequence=2, retired={"scale": definition()}), said()) is None


@pytest.mark.parametrize("source", ["/operators/kim", "/connectors/x", "/router", "x/agents/scale"])
def test_who_is_no_agent_may_say_what_he_likes(source: str) -> None:
    assert refused(Catalog.of([definition()]), said("parcel.lost", source=source)) is None


def test_what_was_under_way_while_a_definition_changed_keeps_the_earlier_ones_word() -> None:
    before = Catalog.of([definition(parcel_weighed=SCORE, parcel_lost=SCORE)])
    after = replace(Catalog.of([definition(version="1.1.0")]), sequence=2)
    reader, catalog = CatalogReader(), Catalog()
    for record in [*before.records(Catalog()), *after.records(before)]:
        catalog = reader.accept(record.key, record.value) or catalog
    assert catalog.sequence == 2
    assert refused(catalog, said("parcel.lost")) is None
    assert refused(catalog, said("parcel.sent")) is not None


def test_a_contract_that_is_no_schema_lets_nothing_pass() -> None:
    broken = definition(parcel_weighed={"type": "no such type"})
    assert refused(Catalog.of([broken]), said()) is not None


def test_the_router_rejects_what_is_not_declared_before_anything_else() -> None:
    router = Router(Catalog.of([definition()]))
    decision = router.prepare(said("parcel.seen", target_agent="scale"), Counters(step=1), NOW)
    assert isinstance(decision, Decision)
    assert (decision.outcome, decision.reason_code, decision.agent) == (
        Outcome.REJECTED,
        "undeclared_transition",
        None,
    )


names = st.sampled_from(["scale", "other", "gone", "nobody"])
types = st.sampled_from(["parcel.weighed", "parcel.sent", "parcel.lost"])


@given(st.dictionaries(names, st.sets(types, min_size=1), max_size=4), names, types)
def test_nothing_passes_in_an_agents_name_that_the_agent_does_not_declare(
    declared: dict[str, set[str]], who: str, what: str
) -> None:
    catalog = Catalog.of(
        definition(name, "1.0.0", **{each.replace(".", "_"): SCORE for each in emitted})
        for name, emitted in declared.items()
    )
    passes = refused(catalog, said(what, source=f"/agents/{who}")) is None
    assert passes == (what in declared.get(who, set()))
