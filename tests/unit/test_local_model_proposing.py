"""A proposed local model beside the one in force: what counts as better, and what the reports say."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pointsman.cli import local_model_proposal
from pointsman.cli.main import app
from pointsman.decision_log import LoggedDecision, Place
from pointsman.envelope import Record
from pointsman.evaluation.dataset import read_dataset, write_dataset
from pointsman.evaluation.logged_threshold import ChatThreshold
from pointsman.evaluation.measures import Share
from pointsman.evaluation.thresholds import Proposal as Threshold
from pointsman.local_model import LocalModel
from pointsman.local_model.labelled import Labelled
from pointsman.local_model.proposal_report import proposal_data, proposal_lines, proposal_page
from pointsman.local_model.proposing import Decided, Score, decided, proposed, replayed
from tests.unit.test_local_model import AGENTS, EXAMPLES, example, trained
from tests.unit.test_routing_router import message

ALWAYS, NEVER = {"thing.brought": 0.0}, {"thing.brought": 2.0}
CHAT = ChatThreshold(
    choices=50, by_word=25, stopped=Share(right=2, total=6), released=Share(right=3, total=4),
    found=[
        Threshold(agent="", threshold=0.812, before=Share(right=40, total=50), acted_on=Share(right=44, total=50),
                  right=Share(right=42, total=44)),
    ],
)  # fmt: skip
SOURCES = {"correction": 3, "decision:model": 69}


@pytest.fixture(scope="module")
def good() -> LocalModel:
    return trained(EXAMPLES)


def knowing(model: LocalModel, seen: Sequence[Labelled], thresholds: dict[str, float]) -> LocalModel:
    return replace(model, thresholds=thresholds, facts={**model.facts, "seen": [each.fingerprint for each in seen]})


def test_a_wrong_choice_weighs_as_many_right_ones_as_the_wanted_share_says() -> None:
    assert Score(messages=40, right=19, wrong=1).worth(0.95) == pytest.approx(0)
    assert Score(messages=40, right=20, wrong=1).worth(0.95) > 0 > Score(messages=40, right=18, wrong=1).worth(0.95)


def test_the_new_model_is_judged_only_by_models_that_have_not_seen_the_message(good: LocalModel) -> None:
    trained_on: list[set[str]] = []

    def train(some: Sequence[Labelled]) -> LocalModel:
        trained_on.append({each.fingerprint for each in some})
        return knowing(good, some, ALWAYS)

    current = knowing(good, EXAMPLES[:40], NEVER)
    found = proposed(EXAMPLES, current, train, accuracy=0.95)
    new = {each.fingerprint for each in EXAMPLES[40:]}
    everything, *folds = trained_on
    assert everything == {each.fingerprint for each in EXAMPLES}
    left_out = [everything - fold for fold in folds]
    assert set.union(*left_out) == new
    assert sum(map(len, left_out)) == len(new)
    assert (found.unseen, found.after.unseen and found.after.unseen.messages) == (len(new), len(new))


def test_better_is_what_acts_rightly_on_more_of_what_neither_has_seen(good: LocalModel) -> None:
    def shy(some: Sequence[Labelled]) -> LocalModel:
        return knowing(good, some, NEVER)

    bold, kept = knowing(good, [], dict(good.thresholds)), [each for each in EXAMPLES if each.answer]
    assert proposed(kept, knowing(good, [], NEVER), lambda _: bold, accuracy=0.95).is_better
    assert not proposed(kept, bold, shy, accuracy=0.95).is_better
    assert not proposed(kept, bold, lambda _: bold, accuracy=0.95).is_better


def test_without_a_model_in_force_the_new_one_must_reach_the_wanted_share(good: LocalModel) -> None:
    bold = knowing(good, [], ALWAYS)  # it acts on what is for nobody, too
    found = proposed(EXAMPLES, None, lambda _: bold, accuracy=0.95)
    assert (found.is_better, found.before, found.changed) == (False, None, None)
    worse = knowing(replace(good, linear=replace(good.linear, weights=-good.linear.weights)), [], ALWAYS)
    against = proposed(EXAMPLES, worse, lambda _: bold, accuracy=0.95)
    assert against.is_better
    assert "yet less than 95.0%" in against.verdict


def test_too_few_new_messages_are_said_and_nothing_is_better(good: LocalModel) -> None:
    found = proposed(EXAMPLES, knowing(good, EXAMPLES[5:], NEVER), lambda _: good, accuracy=0.95)
    assert (found.is_better, found.after.unseen) == (False, None)
    assert "too little to tell: 5 messages" in found.verdict


def logged(**said: Any) -> LoggedDecision:
    both = [{"agent": name, "fits": True} for name in AGENTS]
    value = {
        "how": "model",
        "outcome": "routed",
        "agent": "parcels",
        "candidates": both,
        "model_call": {"completions": 2},
    }
    return LoggedDecision(value={**value, **said}, place=Place(topic="agent_decisions", partition=0, offset=0))


def record() -> Record:
    payload = {"text": "a heavy pallet and a crate", "weight": 70}
    return message(payload, event_type="thing.brought").to_record("agent_messages")


def test_only_decisions_that_needed_a_judgement_are_made_again() -> None:
    found = decided(logged(), record())
    assert found is not None
    assert (found.event_type, found.agents, found.agent, found.calls) == ("thing.brought", AGENTS, "parcels", 2)
    parked = decided(logged(outcome="abstained", agent=None), record())
    assert parked is not None
    assert parked.agent is None
    by_local = decided(logged(how="local_model", model_call=None), record())
    assert by_local is not None
    assert by_local.calls == 0
    assert decided(logged(how="override", model_call=None), record()) is None
    assert decided(logged(candidates=[{"agent": "parcels", "fits": True}]), record()) is None
    assert decided(logged(), Record(topic="agent_messages", key=None, value=b"{", headers={})) is None


def test_the_log_is_made_again_and_counted(good: LocalModel) -> None:
    bold = knowing(good, EXAMPLES[:1], ALWAYS)

    def was(agent: str | None, calls: int = 1) -> Decided:
        one = example("parcels", 0)
        return Decided(event_type=one.event_type, payload=one.payload, agents=AGENTS, agent=agent, calls=calls)

    found = replayed(bold, [was("parcels", 2), was("letters"), was(None), was("parcels", 0)])
    assert (found.decisions, found.acts, found.same, found.other, found.escalated) == (4, 4, 2, 1, 1)
    assert (found.calls_saved, found.seen) == (4, 4)
    assert replayed(knowing(good, [], NEVER), [was("parcels")]).acts == 0


def test_the_reports_say_the_same_and_hold_no_message(good: LocalModel) -> None:
    one = EXAMPLES[0]
    log = [Decided(event_type=one.event_type, payload=one.payload, agents=AGENTS, agent="parcels", calls=1)]
    bold = knowing(good, [], {"thing.brought": 0.6})
    found = proposed(EXAMPLES, knowing(good, [], NEVER), lambda _: bold, accuracy=0.9, log=log)
    lines, page = "\n".join(proposal_lines(found, SOURCES, CHAT)), proposal_page(found, SOURCES, CHAT)
    data = json.loads(json.dumps(proposal_data(found, SOURCES, CHAT)))
    assert data["is_better"] is found.is_better
    assert data["proposed"]["replayed"]["same"] == 1
    assert data["in_force"]["replayed"]["acts"] == 0
    for text in (lines, page):
        assert found.verdict in text
        assert "correction 3" in text
        assert "0.600" in text
        assert "never" in text
        assert "--confidence 0.812 (from 50 choices of the log, 25 with somebody" in text
        assert "to a person instead of an agent: 6, of them right: 2" in text
        assert "to an agent instead of a person: 4, of them right: 3" in text
    assert (data["chat_model"]["option"], data["chat_model"]["stopped"]) == ("0.812", {"right": 2, "total": 6})
    assert "number 0" not in lines + page + json.dumps(data)


def test_the_command_keeps_what_it_collects_and_says_whether_the_new_one_is_better(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sdr = read_dataset(Path("examples/evaluation/sdr.jsonl"))
    notes = [each for each in sdr if each.event_type == "lead.activity_noted"][:60]
    labels, output = tmp_path / "labels", tmp_path / "new.npz"
    write_dataset(tmp_path / "some.jsonl", notes[:50])
    happened = local_model_proposal.Happened(labels=notes[40:], decisions=[], log=[])
    monkeypatch.setattr(local_model_proposal, "_happened", lambda *_: happened)

    def said(*arguments: str, expect: int = 0) -> str:
        told = ["local-model", "propose", *arguments, "--output", str(output)]
        result = CliRunner().invoke(app, told)
        assert result.exit_code == expect, result.output
        return result.output or str(result.exception)

    assert "is no folder" in said("--since", "2d", "--labels", str(labels), expect=1)
    assert "no labelled messages" in said(expect=1)
    labels.mkdir()
    page, report = tmp_path / "r.html", tmp_path / "r.json"
    more = ("--labels", str(labels), "--html", str(page), "--json", str(report))
    text = said(str(tmp_path / "some.jsonl"), "--since", "2d", *more)
    [kept] = labels.iterdir()
    assert read_dataset(kept) == notes[40:]
    assert "nothing was adopted" in text
    assert "Proposed local model" in page.read_text(encoding="utf-8")
    assert json.loads(report.read_text(encoding="utf-8"))["messages"] == len({str(each.payload) for each in notes})
    again = ("--labels", str(labels), "--current", str(output))
    assert "is the model in force" in said(*again, expect=1)
    in_force = tmp_path / "in-force.npz"
    output.rename(in_force)
    told = said(str(tmp_path / "some.jsonl"), *again[:2], "--current", str(in_force), "--fail-unless-better", expect=1)
    assert "too little to tell: 0 messages" in told
