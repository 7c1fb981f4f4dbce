"""Of many candidates the model is shown those whose words are nearest to the message's, and may still say none."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any

import pytest

from pointsman.catalog import Catalog
from pointsman.definitions import Accepts, AgentDefinition, Emits
from pointsman.envelope import Envelope
from pointsman.models.port import ChatAnswer
from pointsman.routing import Counters, ModelQuestion, Router, RoutingOptions
from pointsman.routing.shortlist import Shortlist

ANYTHING = {"type": "object"}
TOPICS = {
    "invoices": "Questions about an invoice, a payment or a refund.",
    "passwords": "Somebody cannot log in or has forgotten a password.",
    "parcels": "A parcel is late, lost or damaged on its way.",
    "holidays": "An employee asks for days off.",
    "printers": "A printer does not print or is out of toner.",
}


def agent(name: str, description: str, **fields: Any) -> AgentDefinition:
    contract = fields.pop("contract", ANYTHING)
    return AgentDefinition(
        name=name, version="1.0.0", description=description, accepts=[Accepts(type="mail.received", contract=contract)],
        emits=[Emits(type="mail.done", contract=ANYTHING, terminal=True)], **fields,
    )  # fmt: skip


def agents(fillers: int = 0) -> list[AgentDefinition]:
    named = [agent(name, text) for name, text in TOPICS.items()]
    return [
        *named,
        *(agent(f"team_{number}", f"Handles the matters of team number {number}.") for number in range(fillers)),
    ]


def asked(router: Router, text: str) -> ModelQuestion:
    message = Envelope(
        id="m", source="/test", event_type="mail.received", workflow_id="w", payload={"text": text},
        time=datetime(2030, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    question = router.prepare(message, Counters(step=1), message.time)
    assert isinstance(question, ModelQuestion)
    return question


def enum(question: ModelQuestion) -> list[str]:
    names: list[str] = question.request.schema["properties"]["agent"]["enum"]
    return names


def answer(agent: str) -> ChatAnswer:
    content = {"agent": agent, "reason": "r"}
    return ChatAnswer(content=content, raw="", model="m", input_tokens=1, output_tokens=1, latency_ms=1.0)


@pytest.mark.parametrize(
    ("text", "nearest"),
    [
        ("I was charged twice, please refund the second payment", "invoices"),
        ("My PARCELS never arrived", "parcels"),
        ("printing takes an hour, and the toner is new", "printers"),
        ("I forgot my passwort and cannot log in", "passwords"),
    ],
)
def test_the_agent_that_is_meant_is_shown_of_five_hundred(text: str, nearest: str) -> None:
    question = asked(Router(Catalog.of(agents(495))), text)
    assert nearest in enum(question)
    assert len(enum(question)) == 7 + 1
    assert enum(question)[-1] == "none"


def test_the_prompt_of_five_hundred_agents_is_hardly_longer_than_that_of_seven() -> None:
    few, many = (asked(Router(Catalog.of(agents(count))), "a refund") for count in (2, 495))
    assert len(many.request.system) < 1.1 * len(few.request.system)


def test_the_decision_says_who_was_shown_and_who_was_considered() -> None:
    router = Router(Catalog.of(agents(20)))
    decision = router.conclude(asked(router, "my invoice"), answer("invoices"))
    logged = decision.to_json()
    assert decision.agent == "invoices"
    assert len(logged["shown"]) == 7
    assert len(logged["candidates"]) == 25


def test_where_all_are_shown_the_decision_does_not_list_them_twice() -> None:
    router = Router(Catalog.of(agents(2)))
    question = asked(router, "my invoice")
    assert len(enum(question)) == 7 + 1
    assert router.conclude(question, answer("invoices")).to_json()["shown"] is None


def test_whom_the_model_was_not_shown_it_cannot_choose_and_none_remains_an_answer() -> None:
    router = Router(Catalog.of(agents(20)), RoutingOptions(max_shown=1))
    question = asked(router, "my invoice")
    assert enum(question) == ["invoices", "none"]
    assert router.conclude(question, answer("holidays")).agent is None
    assert router.conclude(question, answer("none")).reason_code == "none_fits"


def test_zero_shows_everybody() -> None:
    assert len(enum(asked(Router(Catalog.of(agents(20)), RoutingOptions(max_shown=0)), "x"))) == 25 + 1


def test_examples_and_the_fields_of_contracts_count_too() -> None:
    fields = {"type": "object", "properties": {"iban": {"type": "string", "description": "Bank account."}}}
    by_example = agent("by_example", "Does things.", examples=["my canoe leaks"])
    by_field = agent("by_field", "Does things.", contract=fields)
    named = {each.name: each for each in [by_example, by_field, *agents()]}
    shortlist = Shortlist(named)
    assert shortlist.nearest(list(named), {"text": "a canoe"}, 1) == ("by_example",)
    assert shortlist.nearest(list(named), {"iban": "x"}, 1) == ("by_field",)


def test_a_message_without_a_known_word_still_shows_as_many_as_allowed_always_the_same() -> None:
    named = {each.name: each for each in agents(5)}
    picks = {
        Shortlist(named).nearest(order, {"text": "???"}, 3) for order in (sorted(named), sorted(named, reverse=True))
    }
    assert picks == {("holidays", "invoices", "parcels")}


def test_a_huge_or_deeply_nested_message_is_looked_at_only_so_far() -> None:
    nested: Any = "refund"
    for _ in range(50):
        nested = [nested]
    named = {each.name: each for each in agents(5)}
    text = "x " * 500_000 + "refund"
    assert Shortlist(named).nearest(sorted(named), {"a": nested, "b": text, "c": [1] * 100_000}, 1) == ("holidays",)


def test_two_processes_with_other_hash_seeds_show_the_same() -> None:
    code = (
        "from tests.unit.test_routing_shortlist import *\n"
        "print(asked(Router(Catalog.of(agents(40))), 'team refund of a late parcel').prompt_hash)"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."}, capture_output=True,
            text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    ]  # fmt: skip
    assert said[0] == said[1] != ""
