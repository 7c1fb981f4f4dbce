"""What all commands have in common: how they print, what they ask, and how they end."""

from __future__ import annotations

import io
import json
import sys
from datetime import UTC, datetime, timedelta

import pytest
import typer
from ruamel.yaml import YAML

from pointsman.cli import main as entry
from pointsman.cli.options import confirm, moment, operator, span
from pointsman.cli.output import Output, advancing, counted, print_lines, print_rows, working
from pointsman.errors import (
    BrokerUnavailableError,
    ConfigurationError,
    ErrorReason,
    PermanentError,
    RefusedError,
    StoreUnavailableError,
)
from pointsman.settings import settings
from tests.command_tree import commands, options

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
ROWS = [
    {"id": "a", "count": 1, "at": NOW, "ok": True, "types": ["x.y", "z"], "more": {"deep": 1}},
    {"id": "b\x1b[31m", "count": 200, "at": None, "ok": False, "types": []},
]
CHANGING = [
    "agents apply", "agents remove", "dlq redrive", "dlq edit", "dlq discard", "effects stop", "effects start",
    "effects resolve", "job submit", "job stop", "job cancel", "job savepoint", "job upgrade", "job rescale",
    "leads add", "messages send", "workflows cancel", "workflows resume", "workflows retry", "up", "down",
    "topics apply",
]  # fmt: skip
ASKING = ["agents remove", "dlq redrive", "dlq discard", "effects start", "job cancel", "workflows cancel"]
SHOWING = {"case run", "eval run", "local-model eval", "agents diff", "topics apply", "up", "down", "capacity"}
LISTING = ("ls", "show", "status", "history", "tail", "trace", "doctor", "costs", "replay", "route", "rebuild")


COMMANDS = dict(commands())


@pytest.mark.parametrize("words", [words for words in COMMANDS if words.split()[-1] in LISTING or words in SHOWING])
def test_what_shows_something_shows_it_as_table_json_or_yaml(words: str) -> None:
    assert {"--output", "-o"} <= options(COMMANDS[words])


@pytest.mark.parametrize("words", CHANGING)
def test_what_changes_something_can_be_tried_dry(words: str) -> None:
    assert "--dry-run" in options(COMMANDS[words])


@pytest.mark.parametrize("words", ASKING)
def test_what_asks_can_be_told_not_to(words: str) -> None:
    assert {"--yes", "-y"} <= options(COMMANDS[words])


@pytest.mark.parametrize("words", list(COMMANDS))
def test_every_command_and_option_says_what_it_is_for(words: str) -> None:
    assert COMMANDS[words].help


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RefusedError("no"), 1),
        (PermanentError(ErrorReason.INVALID_JSON, "no"), 1),
        (ConfigurationError("no", "do that"), 3),
        (BrokerUnavailableError("Kafka is away"), 4),
        (StoreUnavailableError("MongoDB is away"), 4),
    ],
)
def test_an_error_is_one_line_on_stderr_and_an_exit_code(
    error: Exception, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr(entry, "app", fail)
    with pytest.raises(SystemExit) as ended:
        entry.main()
    captured = capsys.readouterr()
    assert (ended.value.code, captured.out) == (code, "")
    assert captured.err.startswith("pointsman: ")
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    "words", [["nothing"], ["dlq", "redrive"], ["replay"], ["route", "--type", "a.b", "--payload", "{}"], ["--what"]]
)
def test_wrong_usage_exits_2_and_says_so_on_stderr(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["pointsman", *words])
    with pytest.raises(SystemExit) as ended:
        entry.main()
    captured = capsys.readouterr()
    assert (ended.value.code, captured.out) == (2, "")
    assert captured.err


def test_rows_are_printed_in_whole_lines_without_colour_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{**row, "long": "x" * 290} for row in ROWS], ("id", "count", "ok", "types", "long"), Output.TABLE)
    heading, first, second = capsys.readouterr().out.splitlines()
    assert heading.split() == ["id", "count", "ok", "types", "long"]
    assert first.split() == ["a", "1", "yes", "x.y,", "z", "x" * 290]
    assert "\x1b" not in second
    assert not first.endswith(" ")


def test_json_and_yaml_hold_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows(ROWS, ("id",), Output.JSON)
    told = json.loads(capsys.readouterr().out)
    assert told[0] == {**ROWS[0], "at": "2030-01-02T03:04:05.000Z"}
    print_rows(ROWS[:1], ("id",), Output.YAML)
    assert YAML(typ="safe").load(capsys.readouterr().out)[0]["types"] == ["x.y", "z"]


def test_no_rows_are_an_empty_list_or_a_heading(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([], ("id",), Output.JSON)
    print_rows([], ("id",), Output.TABLE)
    assert capsys.readouterr().out == "[]\nid\n"


def test_one_thing_is_lines_for_people_and_data_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    print_lines(["it is so"], {"is": "so"}, Output.TABLE)
    print_lines(["it is so"], {"is": "so"}, Output.JSON)
    assert capsys.readouterr().out == 'it is so\n{\n  "is": "so"\n}\n'


def test_progress_is_silent_where_no_terminal_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(counted(range(500), "reading")) == list(range(500))
    with working("working"), advancing(2, "working") as on_done:
        on_done()
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("", "")


@pytest.mark.parametrize(("set_to", "colour"), [("1", False), ("", None)])
def test_no_color_is_honoured(set_to: str, colour: bool | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", set_to)
    context = typer.Context(typer.main.get_command(entry.app))
    entry.begin(context)
    assert context.color is colour


def test_a_script_is_not_asked_and_a_person_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    confirm("Really?", yes=False)
    monkeypatch.setattr(sys, "stdin", Terminal("n\n"))
    with pytest.raises(typer.Abort):
        confirm("Really?", yes=False)
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    confirm("Really?", yes=False)
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    confirm("Really?", yes=True)


def test_commands_act_in_the_name_that_is_given_or_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_OPERATOR", "ann")
    settings.cache_clear()
    try:
        assert (operator(None), operator("bob")) == ("ann", "bob")
    finally:
        settings.cache_clear()


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        (None, None),
        ("10m", NOW - timedelta(minutes=10)),
        ("2030-01-01T00:00:00Z", datetime(2030, 1, 1, tzinfo=UTC)),
        ("2030-01-01T01:00:00+01:00", datetime(2030, 1, 1, tzinfo=UTC)),
    ],
)
def test_points_in_time_are_ages_or_rfc_3339(text: str | None, meant: datetime | None) -> None:
    assert moment(text, "--since", NOW) == meant


@pytest.mark.parametrize("text", ["", "yesterday", "2030-01-01", "2030-01-01T00:00:00", "-5m"])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="--since"):
        moment(text, "--since", NOW)


def test_a_range_that_encloses_nothing_is_refused() -> None:
    assert span(None, None) == (None, None)
    with pytest.raises(ConfigurationError, match="--since is not before --until"):
        span("1m", "1h")
