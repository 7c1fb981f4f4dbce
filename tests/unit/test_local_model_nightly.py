"""`pointsman local-model propose --since`: what it reads of the night, from topics and ledger in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pointsman.archive import reading
from pointsman.catalog import Catalog
from pointsman.cli import evaluation, leads, local_model_proposal
from pointsman.cli.main import app
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.envelope import Record
from pointsman.evaluation.dataset import Example, read_dataset
from pointsman.evaluation.feedback import MailOutcome, correction_record, outcome_record
from pointsman.routing.prompt import NONE
from pointsman.suppressions import SuppressionReason
from pointsman.testing import InMemoryStore
from pointsman.topics import AUDIT, DECISIONS, MESSAGES
from tests.logged import START, chooses, decided, entry, placed, scored

SDR = Catalog.of(load_folder_or_raise(Path("agent_definitions")).definitions)
LABELLED = read_dataset(Path("examples/evaluation/sdr.jsonl"))
NOTES = [each for each in LABELLED if each.event_type == "lead.activity_noted"]
ROUTED = [each for each in NOTES if each.answer and each.category == "clear"][:40]
ESCALATED = [each for each in NOTES if each.category == "nobody"][:2]


@dataclass
class Night:
    """What the topics and the store hold."""

    topics: dict[str, list[Record]] = field(default_factory=lambda: {MESSAGES: [], DECISIONS: [], AUDIT: []})
    store: InMemoryStore = field(default_factory=InMemoryStore)

    def read_all(self, bootstrap: str, topic: str, *, since_ms: int | None = None) -> Iterator[Record]:
        yield from (one for one in self.topics[topic] if one.timestamp_ms >= (since_ms or 0))

    def add(self, *records: Record) -> None:
        for record in records:
            self.topics[record.topic].append(record)

    def mailed(self, number: int, **facts: Any) -> dict[str, Any]:
        """The agent that got message `number` answers with a draft, which is sent."""
        self.add(scored(1000 + number, event_type="campaign.drafted", causation_id=f"m{number}"))
        known = {"message": f"m{1000 + number}", "lead_id": "w", "recipient": f"p{number}", **facts}
        effect = {"_id": f"e{number}", "state": "sent", "facts": known}
        asyncio.run(self.store.put("effects", effect))
        return effect


def note(number: int, example: Example) -> tuple[Record, Record]:
    """A message of the data set, and the router's decision on it as a model of the answers makes it."""
    record = scored(number, event_type=example.event_type, payload=example.payload, source="/forms")
    return record, entry(decided(record, chooses(example.answer or NONE, confidence=0.8), catalog=SDR))


@pytest.fixture
def night(monkeypatch: pytest.MonkeyPatch) -> Night:
    made = Night()
    for number, example in enumerate([*ROUTED, *ESCALATED]):
        made.add(*note(number, example))
    for module in (reading, evaluation):
        monkeypatch.setattr(module, "read_all", made.read_all)
    monkeypatch.setattr(leads, "open_store", lambda: made.store)
    return made


def test_the_night_trains_on_labels_of_the_decision_log_the_audit_and_the_ledger(night: Night, tmp_path: Path) -> None:
    replied, unsubscribed, untouched, corrected, escalated = 0, 1, 2, range(3, 10), len(ROUTED)
    night.add(*(placed(correction_record(f"m{one}", "w", None, "x", "kim", "spam", START), one) for one in corrected))
    night.add(scored(900, source="/operators/kim", causation_id=f"m{escalated}", target_agent="lead_scoring"))
    night.add(placed(outcome_record(night.mailed(replied), MailOutcome.REPLY, "kim", START), 99))
    night.mailed(unsubscribed)
    listed = {"_id": f"p{unsubscribed}", "reason": SuppressionReason.UNSUBSCRIBED.value}
    asyncio.run(night.store.put("suppressions", listed))

    found = proposal(tmp_path)

    (kept,) = (tmp_path / "labels").iterdir()
    labels = {each.id: (each.answer, each.source) for each in read_dataset(kept)}
    told = [labels[f"m{number}"] for number in (corrected[0], escalated, replied, unsubscribed, untouched)]
    assert told == [
        (None, "correction"),
        ("lead_scoring", "person"),
        (ROUTED[replied].answer, "outcome:reply"),
        (None, "outcome:unsubscribe"),
        (ROUTED[untouched].answer, "decision:model"),
    ]
    assert found["sources"] == {
        "correction": 7, "person": 1, "outcome:reply": 1, "outcome:unsubscribe": 1, "decision:model": len(ROUTED) - 9,
    }  # fmt: skip
    chat = found["chat_model"]
    assert (chat["choices"], chat["by_word"], chat["option"]) == (len(ROUTED), 9, None)
    assert found["proposed"]["replayed"]["decisions"] == len(ROUTED) + len(ESCALATED)
    assert found["proposed"]["replayed"]["seen"] == len(ROUTED) + 1


def proposal(folder: Path) -> dict[str, Any]:
    """The report of the command."""
    labels, report = folder / "labels", folder / "report.json"
    labels.mkdir()
    words = ["local-model", "propose", "--since", "2d", "--labels", str(labels), "--output", str(folder / "new.npz")]
    result = CliRunner().invoke(app, [*words, "--json", str(report)])
    assert result.exit_code == 0, result.output + repr(result.exception)
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


def test_each_decision_is_made_again_on_the_message_that_it_was_made_on(night: Night) -> None:
    # The same offset in another partition is another message.
    night.add(placed(scored(700, payload={"score": 1}), 0, partition=2))
    found = local_model_proposal._happened("2d", None)
    assert [(one.payload, one.agent) for one in found.log] == [
        (each.payload, each.answer) for each in [*ROUTED, *ESCALATED]
    ]


def test_what_is_no_decision_and_whose_message_is_gone_does_not_stop_the_night(night: Night) -> None:
    _, of_a_message_that_is_gone = note(500, ROUTED[0])
    night.add(of_a_message_that_is_gone, placed(Record(topic=DECISIONS, key=None, value=b"{", headers={}), 501))
    night.add(placed(Record(topic=MESSAGES, key=None, value=b"\xff", headers={}), 502))
    night.add(placed(Record(topic=AUDIT, key=None, value=b"[]", headers={}), 503))
    found = local_model_proposal._happened("2d", None)
    assert (len(found.labels), len(found.log)) == (len(ROUTED), len(ROUTED) + len(ESCALATED))


def test_what_is_older_than_asked_for_is_left_out(night: Night) -> None:
    found = local_model_proposal._happened("2030-01-03T00:00:00Z", None)
    assert (found.labels, found.decisions, found.log) == ([], [], [])


def test_a_reply_of_a_later_night_changes_the_label_of_the_decision_before_it(night: Night, tmp_path: Path) -> None:
    effect = night.mailed(0)
    first = local_model_proposal._happened("7d", None)
    local_model_proposal._examples([], tmp_path, first.labels)
    night.add(placed(outcome_record(effect, MailOutcome.REPLY, "kim", START + timedelta(days=5)), 1))
    later = local_model_proposal._happened("7d", None)
    (label,) = [one for one in local_model_proposal._examples([], tmp_path, later.labels) if one.id == "m0"]
    assert label.source == "outcome:reply"


def labelled(id: str, answer: str | None, source: str) -> Example:
    return Example(id=id, event_type="lead.scored", payload={"of": id}, answer=answer, source=source)


def test_a_night_keeps_what_no_night_before_it_found(tmp_path: Path) -> None:
    quiet, judged = labelled("m1", "outreach", "decision:model"), labelled("m2", "outreach", "decision:model")
    taken_back = replace(judged, answer=None, source="correction")
    for found in ([quiet, judged], [quiet, judged], [quiet, taken_back], [quiet, judged]):
        every = local_model_proposal._examples([], tmp_path, found)
        assert sorted(every, key=lambda one: one.id) == found
    assert [read_dataset(path) for path in sorted(tmp_path.iterdir())] == [[quiet, judged], [taken_back], [judged]]
