"""Which ports a stack takes."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from pointsman.errors import ConfigurationError
from pointsman.local import ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def test_defaults_are_used_and_a_choice_changes_one(tmp_path: Path) -> None:
    resolved = ports.resolve(tmp_path / "ports.json", {"kafka": 9999}, free=False)
    assert resolved == {**ports.DEFAULT_PORTS, "kafka": 9999}


def test_free_ports_are_all_different_and_stay_the_same_with_the_data_folder(tmp_path: Path) -> None:
    kept = tmp_path / "ports.json"
    first = ports.resolve(kept, {}, free=True)
    assert len(set(first.values())) == len(ports.DEFAULT_PORTS)
    assert all(ports.is_free(port) for port in first.values())
    ports.keep(kept, first)
    assert ports.resolve(kept, {}, free=True) == first
    assert ports.resolve(kept, {"smtp": 2525}, free=True) == {**first, "smtp": 2525}


@pytest.mark.parametrize("content", ["", "[]", "{", '{"kafka": "x", "other": 1}'])
def test_a_damaged_memory_of_ports_is_ignored(tmp_path: Path, content: str) -> None:
    kept = tmp_path / "ports.json"
    kept.write_text(content)
    assert ports.kept(kept) == {}


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({"kafak": 1}, "no port is called 'kafak'; the names are kafka"),
        ({"kafka": 0}, "port kafka=0 is no port number"),
        ({"kafka": 70000}, "port kafka=70000 is no port number"),
        ({"kafka": 18081}, "kafka and flink both want port 18081"),
    ],
)
def test_a_wrong_choice_is_named(tmp_path: Path, chosen: dict[str, int], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        ports.resolve(tmp_path / "ports.json", chosen, free=False)


def test_a_port_with_a_server_is_not_free_and_answers(taken: int) -> None:
    assert not ports.is_free(taken)
    assert ports.answers(taken)


def test_a_port_without_a_server_is_free_and_silent(taken: int, tmp_path: Path) -> None:
    free = ports.resolve(tmp_path / "ports.json", {}, free=True)["kafka"]
    assert ports.is_free(free)
    assert not ports.answers(free)
