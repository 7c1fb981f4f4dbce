"""Logs are JSON lines on stderr, and nobody's data is in them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from pointsman.errors import ConfigurationError
from pointsman.logging import configure_logging, mask, redact

MARK = "zoe.marker@customer.example"


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_both_kinds_of_logger_write_json_with_level_name_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    structlog.get_logger("ours").info("it happened", count=3)
    logging.getLogger("theirs").warning("hello %s", "there")
    ours, theirs = lines(capsys)
    assert (ours["event"], ours["level"], ours["logger"], ours["count"]) == ("it happened", "info", "ours", 3)
    assert (theirs["event"], theirs["level"]) == ("hello there", "warning")
    assert ours["timestamp"].endswith("Z")


def test_the_level_is_a_threshold(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("warning")
    structlog.get_logger().info("quiet")
    structlog.get_logger().warning("loud")
    assert [line["event"] for line in lines(capsys)] == ["loud"]


def test_an_unknown_level_is_a_configuration_error() -> None:
    with pytest.raises(ConfigurationError, match="POINTSMAN_LOG_LEVEL"):
        configure_logging("chatty")


def test_an_exception_leaves_its_type_and_place_and_not_its_text(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    try:
        raise ValueError(MARK)
    except ValueError as error:
        structlog.get_logger().error("failed", exc_info=error)
        logging.getLogger("theirs").exception("failed too")
    for line in lines(capsys):
        assert line["exception"] == "ValueError"
        assert "test_logging.py:" in line["raised_at"]
        assert MARK not in json.dumps(line)


@pytest.mark.parametrize(
    "fields",
    [
        {"note": f"mail to <{MARK}> failed"},
        {"deep": {"list": [{"x": (MARK,)}]}},
        {"email": "anything at all: zoe.marker"},
        {"payload": {"first_name": "zoe.marker"}},
        {"what": ValueError(MARK)},
        {"uri": "mongodb://user:zoe.marker@host/db"},
    ],
)
def test_personal_data_and_passwords_are_taken_out(fields: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("info")
    structlog.get_logger().info("it happened", **fields)
    assert "zoe.marker" not in capsys.readouterr().err


@given(st.text(), st.text())
def test_no_text_around_an_address_lets_it_through(before: str, after: str) -> None:
    event = redact(None, "", {"event": f"{before} {MARK} {after}"})
    assert MARK not in event["event"]


def test_a_masked_address_keeps_its_domain() -> None:
    assert mask(f"from {MARK}!") == "from z***@customer.example!"


def test_the_library_of_tool_servers_stays_silent(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging("debug")
    logging.getLogger("mcp.client.stdio").error("the server said %s", MARK)
    assert lines(capsys) == []
