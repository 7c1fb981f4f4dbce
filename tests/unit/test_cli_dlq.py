"""`pointsman dlq`: nothing personal is shown unless asked for, and nothing is sent that was not understood."""

from __future__ import annotations

import base64
import json
import stat
from pathlib import Path

import click
import pytest
from typer.testing import CliRunner, Result

from pointsman.cli import dlq
from pointsman.deadletter_work import DeadLetterTopics
from pointsman.errors import ConfigurationError, RefusedError
from pointsman.masking import masked
from pointsman.topics import AUDIT, inbox
from tests.dead_letters import MemoryTopics, failed

ID = "agent_errors/0/0"


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> MemoryTopics:
    memory = MemoryTopics(failed(), failed(inbox("send_email"), stage="agent/send_email", reason="attempts_exhausted"))

    def dead_letter_topics() -> DeadLetterTopics:
        return memory

    monkeypatch.setattr(dlq, "dead_letter_topics", dead_letter_topics)
    return memory


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(dlq.app, [str(word) for word in words])


def test_ls_counts_by_stage_and_reason(topics: MemoryTopics) -> None:
    out = run("ls").stdout
    assert "agent/send_email" in out
    assert "contract_violation" in out


def test_ls_each_names_them_one_in_a_line_and_all_of_them_on_request(topics: MemoryTopics) -> None:
    run("discard", ID, "--by", "ann")
    assert [line.split()[0] for line in run("ls", "--each").stdout.splitlines()] == ["id", "agent_errors/0/1"]
    everything = run("ls", "--each", "--all").stdout.splitlines()
    assert "discarded by ann" in everything[1]


def test_show_masks_texts_and_unmask_shows_them(topics: MemoryTopics) -> None:
    shown = run("show", ID).stdout
    assert "contract_violation: $.lead_id is missing" in shown
    assert "agent_messages/3/41" in shown
    assert '"lead_id": "w-1"' in shown
    assert "Mara" not in shown
    assert "Mara Lind" in run("show", ID, "--unmask").stdout


def test_show_lets_no_bytes_through_to_the_terminal(topics: MemoryTopics) -> None:
    name = topics.add(failed(value=b"\x1b[31mmara@customer.example", extra={"x_note": b"\x1b[31mMara"}))
    shown = run("show", name)
    assert "mara" not in shown.stdout.lower()
    assert "\x1b" not in shown.stdout + run("show", name, "--unmask").stdout


def test_masking_keeps_shape_ids_and_numbers() -> None:
    payload = {
        "_id": "7",
        "lead_id": "m@customer.example",
        "score": 3,
        "tags": ["Mara"],
        "of": {"name": "Mara"},
        "x": None,
    }
    assert masked(payload) == {
        "_id": "7", "lead_id": "m***@customer.example", "score": 3, "tags": ["[text of 4]"],
        "of": {"name": "[text of 4]"}, "x": None,
    }  # fmt: skip


def test_redrive_sends_back_what_is_named_or_chosen(topics: MemoryTopics) -> None:
    assert run("redrive", ID).stdout == f"{ID} to agent_messages, attempt 1\n"
    assert run("redrive", "--stage", "send_email").stdout.endswith("to agents.send_email.inbox, attempt 1\n")
    assert [record.topic for record in topics.sent] == ["agent_messages", "agents.send_email.inbox"]


def test_a_dry_run_writes_nothing(topics: MemoryTopics) -> None:
    assert "would go to agent_messages" in run("redrive", ID, "--dry-run").stdout
    assert "would be discarded" in run("discard", ID, "--dry-run").stdout
    assert topics.written == []


def test_what_is_refused_is_said_on_stderr_with_exit_1(topics: MemoryTopics) -> None:
    run("redrive", ID)
    again = run("redrive", ID)
    assert again.exit_code == 1
    assert "refused:" in again.stderr


@pytest.mark.parametrize("words", [[], [ID, "--reason", "x"], [ID, "--rate", "0/s"], [ID, "--rate", "fast"]])
def test_a_redrive_of_nobody_knows_what_is_wrong_usage(topics: MemoryTopics, words: list[str]) -> None:
    assert run("redrive", *words).exit_code == 2
    assert topics.written == []


def test_a_letter_that_does_not_exist_is_named(topics: MemoryTopics) -> None:
    result = run("show", "agent_errors/9/9")
    assert isinstance(result.exception, RefusedError)
    assert "agent_errors/9/9" in str(result.exception)


def test_edit_sends_the_payload_of_a_file(topics: MemoryTopics, tmp_path: Path) -> None:
    file = tmp_path / "new.json"
    file.write_text('{"lead_id": "w-9"}')
    assert run("edit", ID, "--payload", file).exit_code == 0
    assert topics.sent[0].value == b'{"lead_id":"w-9"}'


def test_edit_sends_what_the_editor_saved_and_nothing_when_nothing_changed(
    topics: MemoryTopics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(click, "edit", lambda text, extension: text)
    assert isinstance(run("edit", ID).exception, RefusedError)
    monkeypatch.setattr(click, "edit", lambda text, extension: text.replace("w-1", "w-2"))
    assert run("edit", ID).exit_code == 0
    assert b'"w-2"' in (topics.sent[0].value or b"")


@pytest.mark.parametrize("text", ["[]", "{", '{"a": NaN}', ""])
def test_a_payload_that_is_no_json_object_is_not_sent(topics: MemoryTopics, tmp_path: Path, text: str) -> None:
    file = tmp_path / "new.json"
    file.write_text(text)
    assert isinstance(run("edit", ID, "--payload", file).exception, RefusedError)
    assert topics.written == []


def test_discard_keeps_why(topics: MemoryTopics) -> None:
    run("discard", ID, "--note", "a duplicate", "--by", "ann")
    (audit,) = topics.written
    assert (audit.topic, audit.headers["ce_source"]) == (AUDIT, b"/operators/ann")
    assert json.loads(audit.value or b"")["details"]["note"] == "a duplicate"


def test_an_export_holds_the_bytes_and_only_its_owner_may_read_it(topics: MemoryTopics, tmp_path: Path) -> None:
    file = tmp_path / "letters.jsonl"
    assert run("export", "--output", file, "--stage", "router").exit_code == 0
    (line,) = file.read_text().splitlines()
    (first, _) = topics.letters()
    assert base64.b64decode(json.loads(line)["value"]) == first.value
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert isinstance(run("export", "--output", file).exception, ConfigurationError)
