"""Nothing runs away: a circle stops at its limit, a person lets it go on by one step, and a cancelled workflow ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from tests.e2e.system import System, lukewarm_lead
from tests.witness import Seen, eventually

MAX_VISITS = 2
MAX_STEPS = 100
MAX_HOPS = 12
MAX_CALLS = 5
MAX_BRANCHES = 3
LUKEWARM_MAILS = 3
PLAYER = """\
name: {name}
version: 1.0.0
description: Plays the ball {got} back as {said}, for ever, and knows nothing of leads.
accepts:
  - type: {got}
    contract: {{type: object, required: [word], properties: {{word: {{enum: [ball]}}}}}}{more}
emits:
  - type: {said}
    contract:
      type: object
      additionalProperties: false
      required: [word]
      properties: {{word: {{enum: [ball]}}}}
limits: {{max_visits: {visits}}}
{approval}
instructions: Say the word.
"""
TOSSED = """
  - type: ball.tossed
    contract: {type: object}"""


def parked(system: System, workflow: str) -> list[Seen]:
    """What waits for a person, of one workflow."""
    return [seen for seen in system.witness.read("agent_escalations") if seen.workflow == workflow]


def balls(system: System, workflow: str) -> list[str]:
    return [event for event in system.witness.events(workflow) if event.startswith("ball.")]


@contextmanager
def players(system: System, visits: int = MAX_VISITS, *, at_work: bool = True, approval: str = "") -> Iterator[None]:
    """Two agents that play for ever."""
    with system.edited_definitions() as folder, ExitStack() as running:
        for name, got, said, more in (
            ("ping", "ball.served", "ball.returned", TOSSED),
            ("pong", "ball.returned", "ball.served", ""),
        ):
            text = PLAYER.format(name=name, got=got, said=said, visits=visits, more=more, approval=approval)
            (folder / f"{name}.yaml").write_text(text)
        system.cli("agents", "apply", str(folder))
        system.wait_for_router()
        for name in ("ping", "pong") if at_work else ():
            running.enter_context(system.agent_process(name))
        yield


def test_two_agents_that_answer_each_other_for_ever_stop_at_the_limit(system: System) -> None:
    with players(system):
        workflow = system.send("ball.served", {"word": "ball"})

        escalated = eventually(lambda: parked(system, workflow), within_s=60, what="the circle's end")
        # Each agent said the same twice; the third time shows the circle, and is the one call over.
        assert balls(system, workflow) == ["ball.served", "ball.returned"] * (MAX_VISITS + 1)
        assert [one.header("x_escalation_reason") for one in escalated] == ["visit_limit"]
        assert escalated[0].header("x_escalation_candidates") == "pong"
        assert escalated[0].json() == {"word": "ball"}
        assert workflow in system.cli("workflows", "ls", "--status", "waiting_for_person").stdout
        assert "waits for a person: ball.returned (visit_limit)" in system.cli("workflows", "show", workflow).stdout

        system.cli("workflows", "resume", workflow)
        eventually(lambda: len(parked(system, workflow)) == 2, within_s=30, what="the circle's end after one more step")
        system.cli("workflows", "resume", workflow, "--agent", "pong")
        eventually(lambda: len(parked(system, workflow)) == 3, within_s=30, what="a refusal of the wrong agent")
        # The person's own message, and one answer to it; the wrong agent got nothing.
        assert balls(system, workflow)[2 * (MAX_VISITS + 1) :] == ["ball.returned", "ball.served", "ball.served"]
        reasons = [one.header("x_escalation_reason") for one in parked(system, workflow)]
        assert reasons == ["visit_limit", "visit_limit", "override_impossible"]


def test_a_chain_of_answers_ends_at_its_hops(system: System) -> None:
    with players(system, visits=1000):
        workflow = system.send("ball.served", {"word": "ball"})
        (escalated,) = eventually(lambda: parked(system, workflow), within_s=60, what="the chain's end")
        assert escalated.header("x_escalation_reason") == "hop_limit"
        assert len(balls(system, workflow)) == MAX_HOPS + 1


def test_who_forges_hops_is_stopped_by_the_chain_that_was_counted(system: System) -> None:
    with players(system, visits=1000, at_work=False):
        workflow = system.send("ball.served", {"word": "ball"})
        for number in range(1, MAX_HOPS + 1):
            said = {"ce_source": b"/agents/ping", "ce_causationid": f"{workflow}/{number}".encode(), "ce_hop": b"0"}
            system.say_more(workflow, number + 1, "ball.returned", {"word": "ball"}, said)
        (escalated,) = eventually(lambda: parked(system, workflow), within_s=60, what="the chain's end")
        assert escalated.header("x_escalation_reason") == "hop_limit"
        assert escalated.header("ce_id") == f"{workflow}/{MAX_HOPS + 1}"


def test_a_workflow_uses_no_more_model_calls_than_it_may(system: System) -> None:
    with players(system, visits=1000):
        workflow = system.send("ball.tossed", {"word": "ball"})
        (escalated,) = eventually(lambda: parked(system, workflow), within_s=60, what="the budget's end")
        assert escalated.header("x_escalation_reason") == "model_call_limit"
        assert escalated.header("x_escalation_stage") == "agent/pong"
        answers = [seen for seen in system.messages(workflow) if seen.header("ce_type") != "ball.tossed"]
        assert [seen.header("ce_modelcalls") for seen in answers] == ["1"] * MAX_CALLS
        assert all(int(seen.header("ce_inputtokens")) > 0 for seen in answers)
        assert workflow in system.cli("workflows", "ls", "--status", "waiting_for_person").stdout

        # A person's word is over the limit, for one message: its answer is counted as before.
        system.cli("workflows", "resume", workflow)
        eventually(lambda: len(parked(system, workflow)) == 2, within_s=30, what="the end after one more call")
        assert len(balls(system, workflow)) == 1 + MAX_CALLS + 2  # the person's word and its answer


def test_a_workflow_branches_no_more_often_than_it_may(system: System) -> None:
    with players(system, visits=1000, at_work=False):
        said = {"ce_source": b"/agents/ping", "ce_causationid": b"the same for all"}
        messages = [("ball.scattered", {}), *[("ball.returned", {"word": "ball"})] * (MAX_BRANCHES + 3)]
        workflow = system.send_series(messages, answers=said)
        eventually(lambda: len(system.outcomes(workflow)) == len(messages), within_s=30, what="every decision")
        made = sorted(system.witness.decisions(workflow), key=lambda one: one["step"])[1:]
        codes = ["single_candidate"] * (MAX_BRANCHES + 1) + ["fan_out_limit"] * 2
        assert [one["reason_code"] for one in made] == codes


def test_what_needs_approval_waits_for_it(system: System) -> None:
    with players(system, at_work=False, approval="approval: required"):
        workflow = system.send("ball.served", {"word": "ball"})
        (escalated,) = eventually(lambda: parked(system, workflow), within_s=30, what="the question")
        assert escalated.header("x_escalation_reason") == "approval_required"
        assert escalated.header("x_escalation_proposed") == "ping"
        system.cli("workflows", "resume", workflow)
        eventually(lambda: len(system.outcomes(workflow)) == 2, within_s=30, what="the approved decision")
        made = system.witness.decisions(workflow)
        assert [(one["outcome"], one["agent"]) for one in sorted(made, key=lambda one: one["step"])] == [
            ("abstained", None), ("routed", "ping"),
        ]  # fmt: skip


def test_a_refusal_of_the_model_goes_to_a_person_at_once(system: System) -> None:
    with players(system):
        with system.model_control(refuse_next=1000):
            workflow = system.send("ball.served", {"word": "ball"})
            (escalated,) = eventually(lambda: parked(system, workflow), within_s=60, what="the question")
        assert escalated.header("x_escalation_reason") == "model_refused"
        assert escalated.header("x_escalation_stage") == "agent/ping"
        assert balls(system, workflow) == ["ball.served"]


def test_a_workflow_that_takes_too_many_steps_waits_for_a_person(system: System) -> None:
    notes = [
        ("lead.activity_noted", {"lead_id": "x", "text": f"The coffee machine broke {n} times."})
        for n in range(MAX_STEPS + 2)
    ]
    workflow = system.send_series(notes)
    eventually(lambda: len(system.outcomes(workflow)) == len(notes), within_s=60, what="a decision on every message")
    over = [made["step"] for made in system.witness.decisions(workflow) if made["reason_code"] == "step_limit"]
    assert sorted(over) == [MAX_STEPS + 1, MAX_STEPS + 2]


def test_a_message_whose_deadline_has_passed_is_not_worked_on(system: System) -> None:
    late = {"ce_deadline": b"2020-01-01T00:00:00Z"}
    workflow = system.send("lead.activity_noted", {"lead_id": "x", "text": "Asked for a demo."}, headers=late)
    (made,) = eventually(lambda: system.witness.decisions(workflow), what="a decision")
    assert (made["outcome"], made["reason_code"]) == ("abstained", "deadline_passed")


def test_a_cancelled_series_sends_no_further_mail(system: System) -> None:
    workflow, address = system.insert(lukewarm_lead())
    eventually(lambda: system.mails_to(address), within_s=60, every_s=0.05, what="the first mail of the series")
    system.cli("workflows", "cancel", workflow, "--reason", "bought elsewhere")

    # The series itself goes on to its end; the router lets none of it through any more.
    drafts = eventually(lambda: all_drafts(system, workflow), within_s=60, what="the series' last draft")
    sent = [made for made in drafts if made["outcome"] == "routed"]
    assert {made["reason_code"] for made in drafts if made not in sent} == {"cancelled"}
    eventually(lambda: len(system.mails_to(address)) == len(sent), what="what was routed before")
    assert workflow in system.cli("workflows", "ls", "--status", "cancelled").stdout
    system.cli("workflows", "resume", workflow, expect=3)


def all_drafts(system: System, workflow: str) -> list[dict[str, Any]]:
    """Decisions on the drafts of a series, once they are all there."""
    drafts = [made for made in system.witness.decisions(workflow) if made["event_type"] == "campaign.drafted"]
    return drafts if len(drafts) == LUKEWARM_MAILS else []


def test_what_no_definition_declares_becomes_a_dead_letter(system: System) -> None:
    in_its_name = {"ce_source": b"/agents/send_email"}
    payload = {"lead_id": "x", "text": "Asked for a demo."}
    workflow = system.send("lead.activity_noted", payload, headers=in_its_name)
    (made,) = eventually(lambda: system.witness.decisions(workflow), what="a decision")
    assert (made["outcome"], made["reason_code"], made["agent"]) == ("rejected", "undeclared_transition", None)
    letters = [seen for seen in system.witness.read("agent_errors") if seen.workflow == workflow]
    assert [(letter.json(), letter.header("x_error_reason")) for letter in letters] == [
        (payload, "undeclared_transition")
    ]


def test_nobody_but_a_person_cancels_a_workflow(system: System) -> None:
    note = {"lead_id": "x", "text": "The coffee machine is broken."}
    workflow = system.send_series([("workflow.cancelled", {}), ("lead.activity_noted", note)])
    eventually(lambda: len(system.outcomes(workflow)) == 2, what="two decisions")
    assert system.outcomes(workflow) == ["abstained", "abstained"]


def test_the_latest_state_of_a_workflow_is_where_it_ended(system: System) -> None:
    workflow = system.send("lead.activity_noted", {"lead_id": "x", "text": "The coffee machine is broken."})
    eventually(lambda: system.outcomes(workflow), what="a decision")
    states = [seen.json() for seen in system.witness.read("workflow_state") if seen.key == workflow.encode()]
    assert [(state["status"], state["where"], state["steps"]) for state in states] == [
        ("waiting_for_person", "lead.activity_noted", 1)
    ]


def test_a_workflow_that_ended_as_a_dead_letter_is_tried_again(system: System) -> None:
    workflow = system.send("lead.scored", {"lead_id": "nobody"})
    eventually(lambda: system.outcomes(workflow) == ["rejected"], what="a dead letter")
    assert workflow in system.cli("workflows", "ls", "--status", "dead_letter").stdout

    system.cli("workflows", "retry", workflow)

    eventually(lambda: system.outcomes(workflow) == ["rejected"] * 2, what="a second decision")
    assert [made["attempt"] for made in system.witness.decisions(workflow)] == [0, 1]
