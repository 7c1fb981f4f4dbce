"""`pointsman decisions | trace | replay | route | case | workflows rebuild | agents history`, on topics in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fastavro
import pytest
from typer.testing import CliRunner, Result

from pointsman.archive import reading
from pointsman.catalog import Catalog
from pointsman.catalog_history import Author, audit_records, kept_record
from pointsman.cli import agent_history, main, rebuilding, replay, route, trace
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError, RefusedError
from pointsman.models.port import ChatModel
from pointsman.topics import AUDIT, CATALOGS, DECISIONS, MESSAGES, WORKFLOW_STATE
from pointsman.workflow_records import WorkflowRecords
from tests.archived import write
from tests.logged import CATALOG, START, Asked, agent, chooses, decided, scored, scorer

ONE = Catalog.of([agent("warm"), scorer()])


@dataclass
class Cluster:
    """Topics in memory, and the model that would be asked."""

    held: dict[str, list[Record]] = field(default_factory=dict)
    model: Asked = field(default_factory=lambda: Asked("cold"))

    def add(self, *records: Record) -> None:
        for record in records:
            self.held.setdefault(record.topic, []).append(record)

    def read_all(self, bootstrap: str, topic: str, *, since_ms: int | None = None) -> Iterator[Record]:
        yield from self.held.get(topic, [])

    def routing_model(self) -> ChatModel:
        return self.model


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A workflow of two messages, decided by a model and by contract."""
    made = Cluster()
    first, second = scored(1), scored(2, event_type="mail.sent")
    made.add(first, second, *decided(first, chooses("warm")), *decided(second, step=2))
    made.add(kept_record(CATALOG))
    for module in (reading, rebuilding):
        monkeypatch.setattr(module, "read_all", made.read_all)
    for module in (replay, route):
        monkeypatch.setattr(module, "routing_model", made.routing_model)
    monkeypatch.setattr(agent_history, "records", lambda topic: made.held.get(topic, []))
    monkeypatch.setattr(agent_history, "load_catalog", lambda bootstrap: ONE)
    monkeypatch.setattr(route, "load_catalog", lambda bootstrap: CATALOG)
    records = [record for each in made.held.values() for record in each]
    known = {"w": WorkflowRecords(workflow_id="w", records=records, effects=())}
    nothing = WorkflowRecords(workflow_id="", records=(), effects=())
    monkeypatch.setattr(trace, "load", lambda workflow, archive=None: known.get(workflow, nothing))
    return made


def run(*words: str | Path, code: int = 0) -> Result:
    result = CliRunner().invoke(main.app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def data(*words: str | Path, code: int = 0) -> Any:
    return json.loads(run(*words, "-o", "json", code=code).stdout)


def test_decisions_are_listed_in_order_without_people(cluster: Cluster) -> None:
    rows = data("decisions", "ls")
    assert [(row["step"], row["outcome"], row["agent"]) for row in rows] == [
        (1, "routed", "warm"),
        (2, "completed", None),
    ]
    assert [row["step"] for row in data("decisions", "ls", "--limit", "1")] == [2]
    assert [row["step"] for row in data("decisions", "ls", "--outcome", "routed")] == [1]
    assert data("decisions", "ls", "--workflow", "x") == []
    assert data("decisions", "ls", "--until", "2030-01-01T00:00:00Z") == []
    assert len(data("decisions", "ls", "--since", "2030-01-01T00:00:00Z")) == 2


def test_one_decision_is_shown_with_its_answer_only_on_request(cluster: Cluster) -> None:
    shown = run("decisions", "show", "m1").stdout
    assert "raw_answer: '[text of " in shown
    assert "agent_decisions-0@1" in shown
    assert "Mara Lind asks" in run("decisions", "show", "agent_decisions-0@1", "--unmask").stdout
    with pytest.raises(ConfigurationError, match="no decision on message nobody"):
        run("decisions", "show", "nobody")


@pytest.mark.parametrize("file_format", ["jsonl", "avro"])
def test_decisions_are_exported_whole_to_a_file_of_its_owner(
    cluster: Cluster, tmp_path: Path, file_format: str
) -> None:
    file = tmp_path / "decisions"
    assert "2 decisions" in run("decisions", "export", "--output", file, "--format", file_format).stdout
    assert file.stat().st_mode & 0o777 == 0o600
    if file_format == "avro":
        with file.open("rb") as opened:
            rows: list[Any] = list(fastavro.reader(opened))
        assert (rows[0]["agent"], rows[0]["model"], rows[0]["decided_at"].year) == ("warm", "m", 2030)
        entry = json.loads(rows[0]["entry"])
    else:
        entry = json.loads(file.read_text().splitlines()[0])
    assert entry["model_call"]["raw_answer"] == chooses("warm").raw
    with pytest.raises(ConfigurationError, match="cannot be made"):
        run("decisions", "export", "--output", file)


def test_trace_tells_hop_by_hop_and_names_nobody(cluster: Cluster) -> None:
    told = run("trace", "w").stdout
    assert "lead.scored from lead_scoring  [agent_messages-1@1]" in told
    assert "routed → warm (model: model_choice)" in told
    assert "1 call, 300 tokens in, 20 out, price unknown" in told
    assert "mara" not in told.lower().replace("mara lind asks", "")
    assert "name: Mara Lind" in run("trace", "w", "--unmask").stdout
    assert [row["hop"] for row in data("trace", "w")["rows"]] == [1, 1, 1, 1, 2, 2]
    with pytest.raises(ConfigurationError, match="nothing is known of workflow x"):
        run("trace", "x")


def test_frozen_replay_proves_decisions_equal(cluster: Cluster) -> None:
    assert "2 decisions came out the same, 0 differences" in run("replay", "--frozen").stdout
    assert data("replay", "--frozen", "--workflow", "w")["equal"] == 2
    assert cluster.model.requests == []


def test_frozen_replay_names_what_differs_and_what_is_gone_and_fails(cluster: Cluster) -> None:
    changed = json.loads(cluster.held[DECISIONS][0].value or b"")
    cluster.held[DECISIONS][0] = decided(scored(1), chooses("cold"))[1]
    changed["agent"] = "somebody"
    cluster.held[DECISIONS].append(
        Record(topic=DECISIONS, key=b"k", value=json.dumps(changed).encode(), headers={}, partition=3, offset=9)
    )
    cluster.held[MESSAGES].pop()
    told = data("replay", "--frozen", code=1)
    assert [(one["field"], one["logged"], one["now"]) for one in told["different"]] == [("agent", "somebody", "warm")]
    assert [one["why"] for one in told["not_made_again"]] == ["its message is no longer on Kafka, or was erased"]
    assert "somebody" in run("replay", "--frozen", code=1).stdout


def test_what_kafka_has_forgotten_is_proven_from_the_archive(cluster: Cluster, tmp_path: Path) -> None:
    for topic in (MESSAGES, DECISIONS):
        write(tmp_path, cluster.held[topic])
        cluster.held[topic] = cluster.held[topic][1:]  # the other one is in both
    for words in (("replay", "--frozen"), ("replay", "--frozen", "--workflow", "w")):
        assert data(*words)["equal"] == 1
        assert data(*words, "--archive", tmp_path)["equal"] == 2
    assert len(data("decisions", "ls", "--archive", tmp_path)) == 2
    with pytest.raises(ConfigurationError, match="there is no archive"):
        run("decisions", "ls", "--archive", tmp_path / "x")


def test_another_model_is_compared_and_counted_beforehand(cluster: Cluster) -> None:
    assert "2 decisions would be made again, with 1 model calls" in run(
        "replay", "--with", "model=other", "--dry-run"
    ).stdout  # fmt: skip
    assert cluster.model.requests == []
    told = data("replay", "--with", "model=other")
    assert [(row["before"], row["after"]) for row in told["changed"]] == [("warm", "cold")]
    assert {"before": "completed", "after": "completed", "count": 1} in told["summary"]
    assert "1 of 2 decisions would change; a model was asked 1 times" in run("replay", "--with", "model=other").stdout


@pytest.mark.parametrize("change", ["model", "model=", "temperature=1"])
def test_what_replay_cannot_change_is_refused(cluster: Cluster, change: str) -> None:
    assert "neither" in run("replay", "--with", change, code=2).stderr


def test_a_folder_that_is_not_there_is_named(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is no folder"):
        run("replay", "--with", f"catalog={tmp_path / 'nowhere'}")


def test_route_explains_and_asks_only_when_told(cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "payload.json"
    file.write_text('{"score": 80}')
    words = ("route", "--dry-run", "--type", "lead.scored", "--payload")
    told = run(*words, file, "--source", "lead_scoring").stdout
    assert "+ cold 1.0.0: the contract takes the message" in told
    assert '> {"event_type": "lead.scored"' in told.replace('":"', '": "')
    assert "--ask asks it" in told
    assert cluster.model.requests == []
    asked = data(*words, '{"score": 80}', "--ask")
    assert (asked["decision"]["agent"], asked["decision"]["how"]) == ("cold", "model")
    assert asked["question"]["hash"] == asked["decision"]["model_call"]["prompt_hash"]
    assert data(*words, '{"score": 80}', "--agent", "warm")["decision"]["how"] == "override"
    assert data(*words, "{}")["decision"]["reason_code"] == "contract_violation"


@pytest.mark.parametrize("payload", ["[]", "{", "/nowhere/at/all.json"])
def test_route_refuses_a_payload_that_is_none(cluster: Cluster, payload: str) -> None:
    with pytest.raises(ConfigurationError, match="--payload"):
        run("route", "--dry-run", "--type", "a.b", "--payload", payload)


def test_a_case_is_saved_once_and_runs_without_the_cluster(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("case", "save", "w", "-o", tmp_path)
    file = tmp_path / "w.case.json"
    assert "Mara" not in file.read_text()
    with pytest.raises(ConfigurationError, match="cannot be made"):
        run("case", "save", "w", "-o", tmp_path)
    cluster.held.clear()
    assert [row["result"] for row in data("case", "run", tmp_path)] == ["same", "same"]
    changed = json.loads(file.read_text())
    changed["steps"][0]["decision"]["agent"] = "cold"
    file.write_text(json.dumps(changed))
    assert "agent: cold → warm" in run("case", "run", file, code=1).stdout


def test_cases_that_cannot_be_made_or_read_say_why(cluster: Cluster, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="nothing was decided on a workflow x"):
        run("case", "save", "x", "-o", tmp_path)
    with pytest.raises(ConfigurationError, match=r"holds no \*.case.json"):
        run("case", "run", tmp_path)
    (tmp_path / "x.case.json").write_text("{}")
    with pytest.raises(ConfigurationError, match=r"x.case.json: the file holds no case"):
        run("case", "run", tmp_path)
    cluster.held[MESSAGES].pop()
    with pytest.raises(ConfigurationError, match="1 messages of workflow w are no longer on Kafka"):
        run("case", "save", "w", "-o", tmp_path / "y")


def test_a_case_of_a_catalog_that_is_not_kept_is_refused(cluster: Cluster, tmp_path: Path) -> None:
    cluster.held[CATALOGS].clear()
    with pytest.raises(RefusedError, match="is not kept"):
        run("case", "save", "w", "-o", tmp_path)


def test_rebuilt_states_are_compared_with_the_topic(cluster: Cluster) -> None:
    assert "1 workflows rebuilt, 0 stand otherwise" in run("workflows", "rebuild").stdout
    cluster.held[WORKFLOW_STATE].pop()
    told = run("workflows", "rebuild", code=1).stdout
    assert "completed, mail.sent, step 2" in told
    assert data("workflows", "rebuild", "nobody")["different"] == []


def test_who_changed_an_agent_is_listed_with_its_fields(cluster: Cluster) -> None:
    better = Catalog.of([agent("warm", "Takes leads that ask for a demo."), scorer()], 2)
    cluster.add(kept_record(ONE), kept_record(better), *audit_records(ONE, better, Author(by="ann", at=START)))
    (row,) = data("agents", "history", "warm")
    assert (row["by"], row["what"], row["fields"], row["catalog"]) == (
        "ann",
        "changed",
        ["description"],
        better.version,
    )
    assert "ann" in run("agents", "history").stdout
    with pytest.raises(ConfigurationError, match="nobody has changed an agent cold"):
        run("agents", "history", "cold")


def test_what_has_changed_since_an_earlier_catalog_is_shown(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    from pointsman.cli import agents

    class Topic:
        def load(self) -> Catalog:
            return ONE

    monkeypatch.setattr(agents, "catalog_topic", Topic)
    assert "- cold 1.0.0" in run("agents", "diff", "--version", CATALOG.version[:6]).stdout
    assert AUDIT not in cluster.held
