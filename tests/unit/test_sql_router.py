"""The SQL script as it is filled in: every agent in its place, every text in its quotes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from flink_jobs import sql_router
from flink_jobs.sql_router import SqlModel, main, script
from pointsman.definitions import AgentDefinition
from pointsman.job_options import JobOptions
from pointsman.settings import Settings
from pointsman.shredding.wrapping import new_key
from pointsman.topics import DECISIONS, ERRORS, ESCALATIONS

OPTIONS = JobOptions(kafka_bootstrap="k:9092", name="sql", transactional_id_prefix="sql")
MODEL = SqlModel(endpoint="http://m/v1/chat/completions", name="gpt-4o-mini", api_key="it's a key")


def agent(
    name: str, *takes: str, emits: str = "thing.done", terminal: bool = True, description: str = ""
) -> AgentDefinition:
    return AgentDefinition.model_validate({
        "name": name,
        "version": "1.0.0",
        "description": description or f"Does {name}.",
        "accepts": [{"type": kind, "contract": {}} for kind in takes],
        "emits": [{"type": "thing.done", "contract": {}, "terminal": True}],
    })  # fmt: skip


def maps(text: str) -> dict[str, str]:
    return {name: inside for inside, name in re.findall(r"NULLIF\(MAP\[(.*)\]\[type\], ''\) AS (\w+)", text)}


def test_each_type_goes_to_its_only_agent_or_to_the_model() -> None:
    told = maps(script([agent("a", "x.one", "x.both"), agent("b", "x.both")], OPTIONS, MODEL))
    assert told == {
        "only_one": "'', '', 'x.one', 'a'",
        "several": "'', '', 'x.both', '|a|b|'",
        "terminal": "'', '', 'thing.done', 'yes'",
    }


def test_a_terminal_type_that_somebody_takes_ends_nothing() -> None:
    assert "thing.done" not in maps(script([agent("a", "thing.done")], OPTIONS, MODEL))["terminal"]


def test_the_model_is_told_of_the_agents_that_it_may_choose() -> None:
    text = script([agent("a", "x.both"), agent("b", "x.both"), agent("alone", "x.one")], OPTIONS, MODEL)
    assert "Does a." in text
    assert "Does alone." not in text
    assert '"enum": ["a", "b", "none"]' in text


def test_no_text_leaves_its_quotes() -> None:
    text = script([agent("a", "x.y", description="It's; DROP TABLE outbox"), agent("b", "x.y")], OPTIONS, MODEL)
    assert "It''s; DROP TABLE outbox" in text
    assert "'it''s a key'" in text
    assert re.sub(r"'(?:[^']|'')*'", "", re.sub(r"--.*", "", text)).count("'") == 0


def test_it_writes_what_the_python_job_writes() -> None:
    text = script([agent("a", "x.y")], OPTIONS, MODEL)
    assert all(f"'{topic}'" in text for topic in (DECISIONS, ESCALATIONS, ERRORS))
    assert "${" not in text


def test_the_shipped_definitions_make_a_script(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "key").write_text("k\n")
    told = ["--kafka-bootstrap", "k:9092", "--endpoint", "http://m", "--api-key-file", str(tmp_path / "key")]
    assert main(told) == 0
    assert "'|active_outreach|nurture_campaign|'" in capsys.readouterr().out
    assert main([*told, "--definitions", str(tmp_path / "nothing")]) == 3


def test_no_script_is_made_where_values_are_encrypted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql_router, "settings", lambda: Settings(encryption_keys=new_key("a")))
    (tmp_path / "key").write_text("k\n")
    told = ["--kafka-bootstrap", "k:9092", "--endpoint", "http://m", "--api-key-file", str(tmp_path / "key")]
    assert main(told) == 3
    assert "encrypted" in capsys.readouterr().err
