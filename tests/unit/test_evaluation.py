"""Data sets, runs over them, and the figures of a run."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pointsman.audit import AuditEntry, read_entry
from pointsman.catalog import Catalog
from pointsman.cli.main import app
from pointsman.decision_log import read_decisions
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError, ModelAnswerError, ModelUnavailableError
from pointsman.evaluation.dataset import Example, once, read_dataset, write_dataset
from pointsman.evaluation.feedback import (
    MailOutcome,
    correction_record,
    feedback,
    noted_outcomes,
    outcome_record,
    reply_record,
)
from pointsman.evaluation.harvesting import harvested
from pointsman.evaluation.importing import CsvColumns, from_csv
from pointsman.evaluation.measures import figures
from pointsman.evaluation.running import Result, run
from pointsman.evaluation.runs import Run
from pointsman.models.port import ChatRequest
from pointsman.routing import Router
from pointsman.suppressions import SuppressionReason
from pointsman.testing import ScriptedModel
from tests.unit.test_routing_router import definition, message

GOOD = {"message": {"event_type": "t", "payload": {"a": 1}}, "answer": "warm", "source": "s"}
RESULT = Result(id="1", category="c", answer="warm", agent="warm", outcome="routed", how="model", reason="r")


def lines(tmp_path: Path, *examples: Any) -> Path:
    path = tmp_path / "data.jsonl"
    path.write_text("".join(f"{each if isinstance(each, str) else json.dumps(each)}\n" for each in examples))
    return path


def test_a_data_set_is_read_as_it_was_written(tmp_path: Path) -> None:
    examples = read_dataset(lines(tmp_path, GOOD, {**GOOD, "answer": None, "category": "c", "reason": "why"}))
    assert [example.id for example in examples] == ["line 1", "line 2"]
    assert write_dataset(tmp_path / "again.jsonl", examples) == 2
    assert read_dataset(tmp_path / "again.jsonl") == examples
    assert (tmp_path / "again.jsonl").stat().st_mode & 0o077 == 0
    with pytest.raises(ConfigurationError, match="cannot be made"):
        write_dataset(tmp_path / "again.jsonl", examples)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ({**GOOD, "answr": "x"}, "unknown field, answr"),
        ({"message": GOOD["message"], "source": "s"}, "answer is missing"),
        ({**GOOD, "message": {"event_type": "t"}}, "event_type and payload"),
        ({**GOOD, "message": {"event_type": "t", "payload": []}}, "payload must be an object"),
        ({**GOOD, "answer": ""}, "answer must be a text that is not empty"),
        ({**GOOD, "source": 7}, "source must be a text"),
        ({**GOOD, "id": "line 1"}, "two examples have the id line 1"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read_dataset(lines(tmp_path, GOOD, line))


def test_a_missing_and_an_empty_data_set_are_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_dataset(tmp_path / "missing")
    with pytest.raises(ConfigurationError, match="holds no example"):
        read_dataset(lines(tmp_path, ""))


def example(number: int, answer: str | None, payload: dict[str, Any] | None = None) -> Example:
    known = {"score": number} if payload is None else payload
    return Example(id=str(number), event_type="parcel.weighed", payload=known, answer=answer, source="test")


def answered(request: ChatRequest) -> dict[str, Any] | Exception:
    score = json.loads(request.user)["payload"]["score"]
    if score == 8:
        return ModelUnavailableError("down")
    if score == 9:
        return ModelAnswerError("rubbish")
    return {"agent": ["cold", "warm", "none"][score % 3], "reason": "by the score"}


async def test_a_run_decides_as_the_router_does_and_survives_a_bad_model() -> None:
    router = Router(Catalog.of([definition("cold"), definition("warm")]))
    examples = [example(n, a) for n, a in [(0, "cold"), (1, "cold"), (2, None), (8, "cold"), (9, None)]]
    results = await run([*examples, example(5, None, {"score": "text"})], router, ScriptedModel(answered))
    assert [result.agent for result in results] == ["cold", "warm", None, None, None, None]
    assert [result.outcome for result in results][-3:] == ["abstained", "abstained", "rejected"]
    assert [result.is_right for result in results] == [True, False, True, False, True, True]
    assert results[0].input_tokens > 0
    assert results[-1].how == "contract"


async def test_without_a_chat_model_nobody_gets_what_contracts_leave_open() -> None:
    router = Router(Catalog.of([definition("cold"), definition("warm")]))
    (result,) = await run([example(0, "cold")], router, None)
    assert (result.agent, result.outcome) == (None, "abstained")


def results() -> list[Result]:
    return [
        replace(RESULT, id="a", fingerprint="A", confidence=0.95, latency_ms=1.0, input_tokens=100),
        replace(RESULT, id="b", fingerprint="B", answer="cold", confidence=0.95, latency_ms=2.0),
        replace(RESULT, id="c", fingerprint="C", agent=None, latency_ms=3.0, how="contract"),
        replace(
            RESULT, id="d", fingerprint="D", answer=None, agent=None, latency_ms=40.0, category="other", how="contract"
        ),
    ]


def test_the_figures_of_a_run_are_right() -> None:
    found = figures(results())
    assert (found.accuracy.right, found.accuracy.total) == (2, 4)
    assert {name: str(share) for name, share in found.precision.items()} == {"cold": "none", "warm": "50.0% (1/2)"}
    assert {name: share.value for name, share in found.recall.items()} == {"cold": 0.0, "warm": 0.5}
    assert (found.abstention_precision.value, found.abstention_recall.value) == (0.5, 1.0)
    assert found.confusion[("cold", "warm")] == 1
    assert found.calibration_error == pytest.approx(0.45)
    assert found.latency_ms == (3.0, 40.0)
    assert found.tokens_per_1000 == (25_000, 0)
    assert figures([replace(RESULT, cost_usd=0.002), RESULT]).usd_per_1000 == pytest.approx(1.0)
    assert figures([replace(RESULT, cost_usd=None), RESULT]).usd_per_1000 is None


def run_of(found: list[Result]) -> Run:
    return Run(dataset="d.jsonl", decider="a test", catalog="abc", results=found)


def test_labelled_text_becomes_a_data_set(tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text('\ufeffsaid,who\n"hello, you",greeter\nwhatever,oos\nnothing,\n', encoding="utf-8")
    columns = CsvColumns(text="said", label="who", nobody=["oos"])
    found = from_csv(path, columns, "text.said", "text")
    assert [each.answer for each in found] == ["greeter", None, None]
    assert found[0].payload == {"text": "hello, you"}
    with pytest.raises(ConfigurationError, match="no column label"):
        from_csv(path, replace(columns, label="label"), "text.said", "text")


def test_the_command_makes_a_data_set_of_labelled_text(tmp_path: Path) -> None:
    csv, made = tmp_path / "in.csv", tmp_path / "made.jsonl"
    csv.write_text("said,who\nhello,greeter\nwhatever,oos\nelse,other\nnothing,\n", encoding="utf-8")
    told = ["eval", "import", "--csv", str(csv), "--text", "said", "--label", "who", "--event-type", "text.said"]
    options = ["--output", str(made), "--field", "words", "--nobody", "oos", "--nobody", "other"]
    done = CliRunner().invoke(app, [*told, *options])
    assert (done.exit_code, done.output) == (0, f"4 examples in {made}\n")
    found = read_dataset(made)
    assert [each.answer for each in found] == ["greeter", None, None, None]
    assert [each.id for each in found] == ["row 1", "row 2", "row 3", "row 4"]
    assert (found[0].event_type, found[0].payload, found[0].source) == ("text.said", {"words": "hello"}, "csv:in.csv")
    again = CliRunner().invoke(app, [*told, *options])
    assert isinstance(again.exception, ConfigurationError)
    assert "cannot be made" in str(again.exception)


def sent(identity: str, source: str = "/agents/a", **also: Any) -> Record:
    return message(id=identity, source=source, **also).to_record("agent_messages")


def decided(identity: str, **said: Any) -> Record:
    value = {"message_id": identity, "how": "model", "outcome": "routed", "agent": "warm", "reason": "r", **said}
    return Record(topic="agent_decisions", key=None, value=json.dumps(value).encode(), headers={})


def test_decisions_become_examples_and_a_persons_word_comes_first() -> None:
    messages = [
        sent("1"), sent("2"), sent("3"), sent("4"),
        sent("5", "/operators/kim", causation_id="2", target_agent="cold"),
        sent("6", "/agents/a", causation_id="1", target_agent="cold"),
    ]  # fmt: skip
    entries = [
        decided("1"), decided("2", outcome="abstained", agent=None), decided("3", how="single_candidate"),
        decided("4", how="local_model"), decided("gone"),
    ]  # fmt: skip
    found = harvested(messages, read_decisions(entries))
    assert [(each.id, each.answer, each.source) for each in found] == [
        ("1", "warm", "decision:model"),
        ("2", "cold", "person"),
    ]


def test_a_message_of_several_nights_counts_once_with_its_last_label() -> None:
    first = Example(id="1", event_type="t", payload={"a": 1, "b": 2}, answer="warm", source="decision:model")
    later = replace(first, payload={"b": 2, "a": 1}, answer="cold", source="correction")
    other = replace(first, id="2", payload={"a": 2})
    assert once([first, other, later]) == [later, other]


NOW = datetime(2030, 1, 2, tzinfo=UTC)


def entry_of(record: Record) -> AuditEntry:
    entry = read_entry(record)
    assert entry is not None
    return entry


def mail(identity: str, draft: str, recipient: str = "hmac-sha256:p", state: str = "sent") -> dict[str, Any]:
    return {"_id": identity, "state": state, "facts": {"message": draft, "recipient": recipient, "lead_id": "w"}}


def test_a_correction_comes_before_an_answer_and_an_answer_before_what_became_of_the_mail() -> None:
    messages = [
        sent("1"), sent("2"), sent("3"), sent("4"),
        sent("5", "/operators/kim", causation_id="2", target_agent="cold"),
        *(sent(f"draft-{number}", "/agents/warm", causation_id=number) for number in "1234"),
    ]  # fmt: skip
    entries = [decided("1"), decided("2"), decided("3"), decided("4", how="local_model")]
    correct = correction_record("1", "w", None, "warm", "kim", "spam", NOW)
    told = feedback(
        [entry_of(correct)], [mail(f"e{number}", f"draft-{number}", f"p{number}") for number in "1234"],
        [{"_id": f"p{number}", "reason": SuppressionReason.UNSUBSCRIBED.value} for number in "1234"],
    )  # fmt: skip
    found = harvested(messages, read_decisions(entries), told)
    assert [(each.id, each.answer, each.source) for each in found] == [
        ("1", None, "correction"), ("2", "cold", "person"), ("3", None, "outcome:unsubscribe"),
        ("4", None, "outcome:unsubscribe"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("reason", "told", "state", "source", "answer"),
    [
        (SuppressionReason.RETURNED, None, "sent", "outcome:bounce", None),
        (SuppressionReason.REFUSED, None, "sent", "outcome:bounce", None),
        (SuppressionReason.COMPLAINED, None, "sent", "outcome:complaint", None),
        (SuppressionReason.ASKED, None, "sent", "outcome:unsubscribe", None),
        (SuppressionReason.ERASED, None, "sent", "decision:model", "warm"),
        (SuppressionReason.UNSUBSCRIBED, "meeting", "sent", "outcome:meeting", "warm"),
        ("", "reply", "sent", "outcome:reply", "warm"),
        ("by hand", None, "sent", "decision:model", "warm"),
        (SuppressionReason.UNSUBSCRIBED, None, "suppressed", "decision:model", "warm"),
    ],
)
def test_what_became_of_a_mail_labels_the_decision_that_led_to_it(
    reason: str, told: str | None, state: str, source: str, answer: str | None
) -> None:
    effect = mail("e", "draft", state=state)
    acts = [entry_of(outcome_record(effect, MailOutcome(told), "kim", NOW))] if told else []
    known = feedback(acts, [effect], [{"_id": "hmac-sha256:p", "reason": str(reason)}])
    messages = [sent("1"), sent("draft", "/agents/warm", causation_id="1")]
    [example] = harvested(messages, read_decisions([decided("1")]), known)
    assert (example.source, example.answer) == (source, answer)


@pytest.mark.parametrize(
    ("stored", "outcome"),
    [
        ("unsubscribed by link", MailOutcome.UNSUBSCRIBE),
        ("asked for no more mail", MailOutcome.UNSUBSCRIBE),
        ("the mailbox returned a mail", MailOutcome.BOUNCE),
        ("the mailbox refuses mail", MailOutcome.BOUNCE),
        ("complained about a mail", MailOutcome.COMPLAINT),
    ],
)
def test_reasons_that_stand_in_stores_already_keep_their_meaning(stored: str, outcome: MailOutcome) -> None:
    told = feedback([], [mail("e", "draft")], [{"_id": "hmac-sha256:p", "reason": stored}])
    assert told.outcomes == {"draft": outcome}


@pytest.mark.parametrize(
    ("said", "reason", "outcome"),
    [
        (None, "", MailOutcome.REPLY),
        (MailOutcome.COMPLAINT, "", MailOutcome.COMPLAINT),
        (MailOutcome.MEETING, SuppressionReason.UNSUBSCRIBED, MailOutcome.MEETING),
        (None, SuppressionReason.UNSUBSCRIBED, MailOutcome.UNSUBSCRIBE),
    ],
)
def test_a_reply_that_was_only_recognised_counts_after_a_persons_word_and_the_suppression_list(
    said: MailOutcome | None, reason: str, outcome: MailOutcome
) -> None:
    effect = mail("e", "draft")
    acts = [entry_of(reply_record(effect, NOW + timedelta(days=1)))]
    acts += [entry_of(outcome_record(effect, said, "kim", NOW))] if said else []
    assert feedback(acts, [effect], [{"_id": "hmac-sha256:p", "reason": str(reason)}]).outcomes == {"draft": outcome}
    assert noted_outcomes(acts) == {"e": said or MailOutcome.REPLY}


def test_the_latest_correction_of_a_message_counts() -> None:
    earlier = correction_record("1", "w", "cold", "warm", "kim", "", NOW)
    later = correction_record("1", "w", "mild", "warm", "lee", "", NOW + timedelta(seconds=1))
    found = feedback([entry_of(later), entry_of(earlier)], [], []).corrections["1"]
    assert (found.agent, found.by) == ("mild", "lee")


SDR = Path("examples/evaluation/sdr.jsonl")


def test_the_commands_train_show_and_evaluate(tmp_path: Path) -> None:
    model, kept, page, dataset = (str(tmp_path / name) for name in ("m.npz", "run.json", "r.html", "some.jsonl"))
    write_dataset(Path(dataset), read_dataset(SDR)[:100])
    runner = CliRunner()

    def said(*arguments: str, expect: int = 0) -> str:
        result = runner.invoke(app, [*arguments])
        assert result.exit_code == expect, result.output
        return result.output

    assert "held out: 100 messages" in said("local-model", "train", dataset, "--output", model)
    assert "lead.activity_noted (acts from" in said("local-model", "show", model)
    judged = runner.invoke(app, ["local-model", "eval", model, dataset, "-o", "json"])
    assert json.loads(judged.stdout)["seen"] == 100
    assert "it was trained on 100 of these messages" in judged.stderr
    asked = ("eval", "run", dataset, "--local-model", model, "--local-only")
    assert "accuracy:" in said(*asked, "--save", kept, "--html", page)
    assert "Routing quality" in Path(page).read_text(encoding="utf-8")
    said(*asked, "--baseline", kept, "--fail-on-broken")
    below = runner.invoke(app, ["eval", "run", dataset, "--local-only", "--fail-under", "0.9", "-o", "json"])
    assert (below.exit_code, json.loads(below.stdout)["messages"]) == (1, 100)
