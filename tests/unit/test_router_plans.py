"""Plans in the durable call operator: state and output change together, in order, also over a restart."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pyflink.common import Row

from flink_jobs.operators import route
from pointsman.catalog import Catalog
from pointsman.definitions.model import Accepts, AgentDefinition, Emits
from pointsman.envelope import Envelope, Record, TaskRef, decode
from pointsman.workflow_states import Status, WorkflowState
from tests.durable_call import Calls, Flink, SharedCalls, row_of
from tests.plans import UNDO, proposal, task

OPEN = {"type": "object"}


def definition(name: str, accepts: list[str], emits: list[str]) -> AgentDefinition:
    return AgentDefinition(
        name=name,
        version="1.0.0",
        description=f"Is {name}.",
        accepts=[Accepts(type=each, contract=OPEN) for each in accepts],
        emits=[Emits(type=each, contract=OPEN, terminal=each.endswith("done")) for each in emits],
    )


CATALOG = Catalog.of([
    definition("planner", ["plan.wanted", "work.joined"], ["plan.proposed", "all.done"]),
    definition("worker", ["work.asked", "work.undone"], ["work.done", "half.made"]),
    definition("second", ["half.made", "choice.asked"], ["work.done"]),
    definition("third", ["choice.asked"], ["work.done"]),
])  # fmt: skip


class Job:
    """The operator with a catalog, fed with messages; what it writes can be fed back."""

    def __init__(self, flink: Flink) -> None:
        self.flink = flink
        self.offset = 100

    def say(self, message: Envelope, *, cancels: bool = False, step: int = 1) -> list[Record]:
        """What the router writes on `message`."""
        self.offset += 1
        record = Record(**{**_fields(message.to_record("agent_messages")), "partition": 0, "offset": self.offset})
        row = row_of(record, step, 1, int(cancels))
        return _records(self.flink.operator.process_element(row, self.flink))  # type: ignore[arg-type]

    def tick(self) -> list[Record]:
        return _records(self.flink.operator.on_timer(0, self.flink))  # type: ignore[arg-type]

    def restarted(self) -> Job:
        """Another operator on the same state."""
        old = self.flink
        return Job(Flink(old.pending, old.kept, cancelled=old.cancelled, plans=old.plans))

    def begin(self, *tasks: dict[str, Any], source: str = "/agents/planner") -> list[Envelope]:
        """Propose a plan; the messages that it sends."""
        return sent(self.say(proposed(*tasks, source=source)))


def _fields(record: Record) -> dict[str, Any]:
    return {name: getattr(record, name) for name in ("topic", "key", "value", "headers")}


def _records(rows: Iterable[Row]) -> list[Record]:
    def octets(text: str | None) -> bytes | None:
        return None if text is None else bytes.fromhex(text)

    return [Record(topic=row[0], key=octets(row[1]), value=octets(row[2]), headers=row[3]) for row in rows]


def sent(records: list[Record]) -> list[Envelope]:
    """What goes back to `agent_messages`."""
    return [decode(record) for record in records if record.topic == "agent_messages"]


def codes(records: list[Record]) -> list[str]:
    """Outcome and reason code of the decisions among `records`."""
    found = [json.loads(record.value or b"") for record in records if record.topic == "agent_decisions"]
    return [f"{one['outcome']} {one['reason_code']}" for one in found]


def state(records: list[Record]) -> WorkflowState:
    found = [WorkflowState.from_record(record) for record in records if record.topic == "workflow_state"]
    assert found[-1]
    return found[-1]


def proposed(*tasks: dict[str, Any], source: str = "/agents/planner", **more: Any) -> Envelope:
    about = {
        "id": "p1",
        "workflow_id": "w",
        "priority": 7,
        "hop": 2,
        "extra": {"traceparent": b"00-t", "ce_modelcalls": b"1"},
    }
    return Envelope(
        source=source,
        event_type="plan.proposed",
        payload=proposal(*tasks),
        time=datetime.fromisoformat("2030-01-01T00:00:00Z"),
        **{**about, **more},
    )


def reply(to: Envelope, event_type: str = "work.done", **payload: Any) -> Envelope:
    """What the worker says to a message."""
    return to.reply(
        agent="worker", agent_version="1.0.0", index=0, event_type=event_type, payload=payload, time=to.time
    )


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    calls = Calls()
    monkeypatch.setattr(route, "MODEL_CALLS", SharedCalls(calls))
    return calls


@pytest.fixture
def job(calls: Calls) -> Job:
    job = Job(Flink())
    for record in CATALOG.records(Catalog()):
        assert job.flink.definition(record) == []
    return job


def test_a_proposed_plan_sends_its_tasks_with_lineage_and_is_a_decision(job: Job) -> None:
    records = job.say(proposed(task("site"), task("crm")))

    tasks = sent(records)
    assert [one.task for one in tasks] == [
        TaskRef(plan_id=tasks[0].task.plan_id, task_id=name) for name in ("site", "crm") if tasks[0].task
    ]
    assert {(one.source, one.causation_id, one.priority, one.hop, one.workflow_id) for one in tasks} == {
        ("/router/plan", "p1", 7, 2, "w")
    }
    assert [dict(one.extra) for one in tasks] == [{"traceparent": b"00-t"}] * 2
    assert codes(records) == ["planned plan_started"]
    shown = state(records).plan
    assert shown
    assert [(one.id, one.status.value, one.attempts) for one in shown.tasks] == [
        ("site", "running", 1), ("crm", "running", 1),
    ]  # fmt: skip


def test_tasks_are_routed_like_any_message_and_results_join(job: Job) -> None:
    site, crm = job.begin(task("site"), task("crm"))
    routed = job.say(site)
    assert next(record.topic for record in routed) == "agents.worker.inbox"
    assert state(routed).plan, "every state of the workflow shows its plan"

    assert codes(job.say(reply(crm, n=1))) == ["planned task_done"]
    last = job.say(reply(site, n=2))

    assert codes(last) == ["planned plan_joined"]
    (join,) = sent(last)
    assert (join.event_type, join.task) == ("work.joined", None)
    assert join.payload["results"] == {"site": {"n": 2}, "crm": {"n": 1}}
    assert job.say(join)[0].topic == "agents.planner.inbox"


def test_a_repeated_result_changes_nothing_and_tells_nothing_new_of_the_workflow(job: Job) -> None:
    (site,) = job.begin(task("site"))
    assert len(sent(job.say(reply(site)))) == 1
    again = job.say(reply(site, other=1))
    assert [record.topic for record in again] == ["agent_decisions"]
    assert codes(again) == ["planned task_over"]


def test_a_task_goes_on_while_somebody_accepts_what_was_said_to_it(job: Job) -> None:
    (site,) = job.begin(task("site"))
    half = reply(site, "half.made")
    assert job.say(half)[0].topic == "agents.second.inbox"
    assert codes(job.say(reply(half))) == ["planned plan_joined"]


def test_a_restart_between_results_loses_none(job: Job) -> None:
    site, crm = job.begin(task("site"), task("crm"))
    job.say(reply(site, n=1))
    after = job.restarted()
    (join,) = sent(after.say(reply(crm, n=2)))
    assert join.payload["results"] == {"site": {"n": 1}, "crm": {"n": 2}}


def test_a_restart_from_before_the_result_makes_the_same_messages_again(job: Job) -> None:
    (site,) = job.begin(task("site"))
    kept = dict(job.flink.plans)
    (join,) = sent(job.say(reply(site)))
    job.flink.plans.clear()
    job.flink.plans.update(kept)
    (again,) = sent(job.restarted().say(reply(site)))
    assert again.id == join.id


def test_a_plan_moves_only_when_the_message_leaves_in_the_order_of_its_workflow(job: Job, calls: Calls) -> None:
    site, crm = job.begin(task("site"), task("crm", event_type="choice.asked"))
    job.say(crm)
    assert len(calls.open) == 1
    assert job.say(reply(site)) == [], "it waits behind the message that the model is asked about"
    before = dict(job.flink.plans)

    calls.answer(0, "third")
    assert codes(job.tick()) == ["routed model_choice", "planned task_done"]
    assert job.flink.plans != before


def test_the_news_of_a_failure_sends_that_task_again_alone(job: Job) -> None:
    site, _ = job.begin(task("site"), task("crm"))
    failed = job.say(reply(site, "task.failed", reason_code="attempts_exhausted"))
    assert codes(failed) == ["planned task_retried"]
    (again,) = sent(failed)
    assert again.task
    assert (again.task.task_id, again.task.number) == ("site", 2)
    assert again.id != site.id
    assert codes(job.say(reply(site, "task.failed"))) == ["planned task_over"]


def test_a_message_of_a_task_that_no_contract_takes_is_a_dead_letter_and_a_failure(job: Job) -> None:
    strict = CATALOG.definitions["worker"].model_copy(
        update={"accepts": [Accepts(type="work.asked", contract={"type": "object", "required": ["never"]})]}
    )
    site, _ = job.begin(task("site"), task("crm"))
    for record in Catalog.of([strict], 2).records(CATALOG):
        job.flink.definition(record)
    rejected = job.say(site)
    assert codes(rejected) == ["rejected contract_violation"]
    assert "agent_errors" in [record.topic for record in rejected]
    assert [one.task.number for one in sent(rejected) if one.task] == [2]


def test_a_plan_that_fails_compensates_and_says_so(job: Job) -> None:
    seat, site = job.begin(task("seat", compensate=UNDO), task("site", attempts=1))
    job.say(reply(seat, room=7))
    compensating = job.say(reply(site, "task.failed", reason_code="agent_fault"))
    assert codes(compensating) == ["planned plan_compensating"]
    (undo,) = sent(compensating)
    assert undo.payload["results"] == {"seat": {"room": 7}}

    failed = job.say(reply(undo))
    assert codes(failed) == ["planned plan_failed"]
    (news,) = sent(failed)
    assert news.event_type == "plan.failed"
    assert news.payload["compensated"] == ["seat"]
    person = job.say(news)
    assert codes(person) == ["abstained no_agent_accepts"], "nobody accepts it, so a person looks"
    assert state(person).status is Status.WAITING_FOR_PERSON
    shown = state(person).plan
    assert shown
    assert shown.status.value == "failed"


def test_a_result_that_comes_late_to_a_failed_plan_is_kept_and_a_person_is_still_waited_for(job: Job) -> None:
    site, crm = job.begin(task("site", attempts=1), task("crm"))
    (news,) = sent(job.say(reply(site, "task.failed")))
    job.say(news)
    late = job.say(reply(crm))
    assert codes(late) == ["planned task_done"]
    assert (state(late).status, state(late).where) == (Status.WAITING_FOR_PERSON, "plan.failed")
    shown = state(late).plan
    assert shown
    assert [one.status.value for one in shown.tasks] == ["failed", "done"]


def test_a_person_has_the_failed_task_sent_again(job: Job) -> None:
    site, crm = job.begin(task("site", attempts=1), task("crm"))
    job.say(reply(crm))
    job.say(reply(site, "task.failed"))
    assert site.task
    again = Envelope(
        id="r1", source="/operators/ann", event_type="plan.retried", workflow_id="w",
        payload={"plan_id": site.task.plan_id}, time=site.time,
    )  # fmt: skip
    (resent,) = sent(job.say(again))
    assert resent.task
    assert (resent.task.task_id, resent.task.number) == ("site", 2)


def test_the_word_to_retry_counts_only_from_a_person(job: Job) -> None:
    site, _ = job.begin(task("site", attempts=1), task("crm"))
    job.say(reply(site, "task.failed"))
    assert site.task
    forged = Envelope(
        id="r1", source="/agents/worker", event_type="plan.retried", workflow_id="w",
        payload={"plan_id": site.task.plan_id}, time=site.time,
    )  # fmt: skip
    assert sent(job.say(forged)) == []


def test_an_impossible_plan_is_a_dead_letter_that_names_the_task(job: Job) -> None:
    records = job.say(proposed(task("site", event_type="no.body")))
    assert codes(records) == ["rejected invalid_plan"]
    (letter,) = [record for record in records if record.topic == "agent_errors"]
    assert letter.headers["x_error_reason"] == b"invalid_plan"
    assert b"task site" in letter.headers["x_error_message"]
    assert sent(records) == []


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("/agents/worker", "rejected undeclared_transition"),
        ("/agents/nobody", "rejected undeclared_transition"),
        ("/test", "abstained no_agent_accepts"),
    ],
)
def test_a_plan_of_somebody_who_does_not_declare_it_is_none(job: Job, source: str, code: str) -> None:
    records = job.say(proposed(task("site"), source=source))
    assert sent(records) == []
    assert codes(records) == [code]


def test_a_result_that_its_agent_does_not_declare_is_refused_and_a_failure(job: Job) -> None:
    site, _ = job.begin(task("site"), task("crm"))
    refused = job.say(reply(site, "wild.guess"))
    assert codes(refused) == ["rejected undeclared_transition"]
    assert [one.task.number for one in sent(refused) if one.task] == [2]


def test_a_person_may_propose_a_plan(job: Job) -> None:
    assert len(job.begin(task("site"), source="/operators/ann")) == 1


def test_a_plan_that_was_proposed_twice_runs_once(job: Job) -> None:
    assert len(job.begin(task("site"))) == 1
    assert job.begin(task("site")) == []


def test_a_workflow_over_its_limit_begins_no_plan(job: Job) -> None:
    records = job.say(proposed(task("site")), step=1000)
    assert codes(records) == ["abstained step_limit"]
    assert sent(records) == []


def test_of_a_cancelled_workflow_no_plan_goes_on(job: Job) -> None:
    site, crm = job.begin(task("site", attempts=1), task("crm"))
    cancelled = Envelope(
        id="c", source="/operators/ann", event_type="workflow.cancelled", workflow_id="w", payload={}, time=site.time
    )
    job.say(cancelled, cancels=True)
    for message in (reply(site), reply(crm), reply(site, "task.failed")):
        records = job.say(message)
        assert codes(records) == ["completed cancelled"]
        assert sent(records) == []


def test_a_result_of_an_unknown_plan_is_a_persons_work(job: Job) -> None:
    (site,) = job.begin(task("site"))
    job.flink.plans.clear()
    assert codes(job.restarted().say(reply(site))) == ["abstained plan_unknown"]


def test_a_plan_within_a_task_answers_for_it(job: Job) -> None:
    (outer,) = job.begin(task("outer", event_type="plan.wanted"))
    inner = proposed(task("inner"), id="p2", task=outer.task)
    (work,) = sent(job.say(inner))
    assert work.task
    assert work.task.task_id == "inner"
    (join,) = sent(job.say(reply(work)))
    assert join.task == outer.task
    (outer_join,) = sent(job.say(replace(reply(join, "all.done"), source="/agents/planner")))
    assert outer_join.task is None
    assert outer_join.payload["results"] == {"outer": {}}


def test_a_plan_that_does_not_move_is_forgotten_in_time(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    job.begin(task("site"))
    assert len(job.flink.plans) == 1
    later = datetime.now().astimezone() + timedelta(hours=169)
    monkeypatch.setattr(route, "_now", lambda: later)
    job.say(proposed(task("site"), id="p2", workflow_id="other"))
    assert len(job.flink.plans) == 1
