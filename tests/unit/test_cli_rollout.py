"""`pointsman rollout` on a topic in memory: what it says and what it writes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from pointsman.cli import rollout as command
from pointsman.cli.main import app
from pointsman.definitions.writing import to_yaml
from pointsman.errors import RefusedError
from pointsman.rollouts.counting import Counts, RolloutCounts
from pointsman.rollouts.model import Arm, Rollout, Stage
from tests.unit.test_rollouts import OTHER, Topic, shadowed, topic_with


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Topic:
    topic = topic_with()
    monkeypatch.setattr(command, "KafkaRolloutTopic", lambda bootstrap: topic)
    monkeypatch.setattr(command, "count", lambda rollout: Counts())
    return topic


@pytest.fixture
def file(tmp_path: Path) -> str:
    for name, definition in OTHER.definitions.items():
        text = to_yaml(definition.model_dump(mode="json", exclude_defaults=True))
        (tmp_path / "agents").mkdir(exist_ok=True)
        (tmp_path / "agents" / f"{name}.yaml").write_text(text)
    path = tmp_path / "try.yaml"
    path.write_text("name: try\ncandidate: {catalog: agents}\n")
    return str(path)


def said(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["rollout", *arguments])
    assert result.exit_code == 0, result.output
    return result.output


def stage(topic: Topic) -> Stage | None:
    found = topic.rollout()
    return found.stage if found else None


def test_a_rollout_goes_from_shadow_over_a_share_to_promotion(topic: Topic, file: str) -> None:
    assert "changed  warm" in said("start", file, "--dry-run")
    assert stage(topic) is None
    assert "shadow, 100 %, a catalog of 2 agents" in said("start", file, "--by", "dana")
    assert "would have the candidate decide" in said("ramp", "25", "--dry-run")
    assert "python -m agents warm --version 2.0.0" in said("ramp", "25")
    assert stage(topic) is Stage.CANARY
    assert "would put in force" in said("promote", "--dry-run")
    assert "python -m agents warm --version 1.0.0" in said("promote", "--yes")
    assert stage(topic) is Stage.PROMOTED
    assert topic.load().version == OTHER.version


def test_a_rollout_that_is_given_up_keeps_the_reason(topic: Topic, file: str) -> None:
    said("start", file)
    assert "would give up" in said("abort", "--dry-run")
    assert "aborted" in said("abort", "--reason", "too slow")
    assert json.loads(said("status", "-o", "json"))["reason"] == "too slow"
    assert isinstance(CliRunner().invoke(app, ["rollout", "promote", "--yes"]).exception, RefusedError)


def test_the_status_shows_where_the_sides_differ_and_names_nobody(
    topic: Topic, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    said("start", file)
    monkeypatch.setattr(command, "count", _one_difference)
    shown = said("status")
    assert "abstained" in shown
    assert "warm" in shown
    as_json = said("status", "-o", "json")
    assert json.loads(as_json)["counts"]["shadow"]["disagreed"] == 1
    assert "mara@nordhafen.example" not in shown + as_json


def _one_difference(rollout: Rollout) -> Counts:
    counts, record = RolloutCounts(), shadowed(None, "warm")
    value = (record.value or b"").replace(b"r/candidate", rollout.release(Arm.CANDIDATE).encode())
    record = type(record)(
        topic=record.topic, key=None, value=value.replace(b'"m"', b'"mara@nordhafen.example"'), headers={}
    )
    counts.feed(record)
    return counts.of(rollout.id)
