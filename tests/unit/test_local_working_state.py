"""Where RocksDB works."""

from __future__ import annotations

from pathlib import Path

import pytest

from pointsman.local import working_state
from pointsman.local.working_state import make_folder, remove_folder


@pytest.fixture
def link(tmp_path: Path) -> Path:
    return tmp_path / "data" / "flink" / "state"


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(working_state, "_ENOUGH_BYTES", 1)
    folder = tmp_path / "memory"
    folder.mkdir()
    return folder


def test_it_is_in_memory_for_its_owner_alone(link: Path, memory: Path) -> None:
    folder = make_folder(link, memory)
    assert folder.parent == memory
    assert link.resolve() == folder
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_new_one_is_empty_and_the_one_before_is_gone(link: Path, memory: Path) -> None:
    (make_folder(link, memory) / "000001.sst").write_bytes(b"left by a TaskManager that was killed")
    folder = make_folder(link, memory)
    assert list(memory.iterdir()) == [folder]
    assert list(folder.iterdir()) == []


def test_it_is_on_disk_where_there_is_no_file_system_in_memory(link: Path, tmp_path: Path) -> None:
    folder = make_folder(link, tmp_path / "none")
    assert folder == link
    assert not link.is_symlink()
    assert link.stat().st_mode & 0o777 == 0o700


def test_it_is_on_disk_where_the_file_system_in_memory_is_small(
    link: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working_state, "_ENOUGH_BYTES", 1 << 60)
    assert make_folder(link, memory) == link
    assert list(memory.iterdir()) == []


def test_removed_it_leaves_nothing(link: Path, memory: Path, tmp_path: Path) -> None:
    make_folder(link, memory)
    remove_folder(link)
    remove_folder(link)
    assert list(memory.iterdir()) == []
    assert not link.is_symlink()
    make_folder(link, tmp_path / "none")
    remove_folder(link)
    assert not link.exists()
