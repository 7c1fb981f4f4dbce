"""The account that judges fault tests finds what is lost and what is there twice."""

from __future__ import annotations

import json
from email.message import EmailMessage

from tests.chaos.account import Account
from tests.witness import Seen

LEAD = "lead-1"
ADDRESS = "dana@customer.example"


def record(topic: str, *, value: object = None, **headers: str) -> Seen:
    encoded = {name: text.encode() for name, text in {"ce_workflowid": LEAD, **headers}.items()}
    return Seen(topic, 0, 0, LEAD.encode(), json.dumps(value).encode(), encoded)


def message(number: int, caused_by: int | None = None) -> Seen:
    cause = {} if caused_by is None else {"ce_causationid": f"m{caused_by}"}
    return record("agent_messages", value={}, ce_id=f"m{number}", ce_type=f"step.{number}", **cause)


def decision(number: int, outcome: str, reason: str = "because") -> Seen:
    value = {"outcome": outcome, "reason": reason, "agent": "a", "event_type": f"step.{number}"}
    return record("agent_decisions", value=value, ce_id=f"d{number}", ce_causationid=f"m{number}")


WHOLE = [message(1), decision(1, "routed"), message(2, caused_by=1), decision(2, "completed")]


def account(seen: list[Seen], mails: int = 1) -> Account:
    mail = EmailMessage()
    mail["To"], mail["Message-ID"] = ADDRESS, "<effect@sdr.example>"
    return Account(seen, [mail] * mails, {LEAD: ADDRESS})


def test_a_whole_journey_is_neither_open_nor_twice() -> None:
    assert account(WHOLE).open() == {}
    assert account(WHOLE).duplicated() == []


def test_each_record_that_is_missing_leaves_the_workflow_open() -> None:
    assert account([]).open() == {LEAD: "its first message"}
    assert account(WHOLE[:1]).open() == {LEAD: "the decision on step.1"}
    assert account(WHOLE[:2]).open() == {LEAD: "the answer of a to step.1"}
    assert account(WHOLE[:3]).open() == {LEAD: "the decision on step.2"}


def test_a_dead_letter_ends_a_workflow_and_a_person_hears_of_it() -> None:
    letter = record("agent_errors", ce_id="m1", x_error_stage="agent/a", x_error_reason="agent_fault")
    buried = account([*WHOLE[:2], letter])
    assert buried.open() == {}
    assert buried.to_a_person() == [LEAD]
    assert buried.reasons() == {"agent/a agent_fault": 1}


def test_an_abstention_without_a_reason_is_not_an_end() -> None:
    assert account([message(1), decision(1, "abstained", reason="")]).open() != {}
    assert account([message(1), decision(1, "abstained")]).open() == {}


def test_what_is_visible_twice_is_found() -> None:
    assert len(account([*WHOLE, decision(1, "routed")]).duplicated()) == 2
    assert len(account([*WHOLE, message(2, caused_by=1)]).duplicated()) == 1
    inbox = record("agents.a.inbox", ce_id="m1")
    assert account([*WHOLE, inbox]).duplicated() == []
    assert len(account([*WHOLE, inbox, inbox]).duplicated()) == 1
    assert len(account(WHOLE, mails=2).duplicated()) == 1


def test_a_second_decision_under_another_id_is_found() -> None:
    other = record("agent_decisions", value={"outcome": "completed", "reason": "x"}, ce_id="e1", ce_causationid="m1")
    assert len(account([*WHOLE, other]).duplicated()) == 1
