"""The savepoints of earlier releases that `tests/e2e/test_upgrade_from_release.py` starts from."""

from __future__ import annotations

import tarfile

import pytest

import pointsman
from tests.e2e.savepoints.kept import FOLDER, SAVEPOINT, records_of, releases, runs
from tests.witness import Seen

MOST_BYTES = 500_000


def test_this_release_has_left_a_savepoint() -> None:
    assert pointsman.__version__ in releases(), "run `python -m tests.e2e.savepoints.make` (CONTRIBUTING.md)"


@pytest.mark.parametrize("release", releases())
def test_what_is_kept_is_small_and_lies_anywhere(release: str) -> None:
    assert sum(file.stat().st_size for file in (FOLDER / release).iterdir()) < MOST_BYTES
    with tarfile.open(FOLDER / release / SAVEPOINT) as archive:
        names = archive.getnames()
    assert "_metadata" in names
    assert not [name for name in names if name.startswith("/") or ".." in name]
    assert {record.topic for record in records_of(release)} >= {"agent_messages", "agent_definitions"}


def at(*offsets: int) -> list[Seen]:
    return [Seen("t", 3, offset, b"k", b"v", {}) for offset in offsets]


@pytest.mark.parametrize(
    ("offsets", "expected"),
    [
        ((), []),
        ((0, 1, 2), [([0, 1, 2], 0)]),
        ((0, 1, 3), [([0, 1], 1), ([3], 0)]),
        ((0, 4, 5, 7), [([0], 3), ([4, 5], 1), ([7], 0)]),
        ((2, 3), [([], 2), ([2, 3], 0)]),
    ],
)
def test_records_come_back_with_what_was_missing_between_them(
    offsets: tuple[int, ...], expected: list[tuple[list[int], int]]
) -> None:
    found = [([seen.offset for seen in run.records], run.missing) for run in runs(at(*offsets))]
    assert found == expected
    assert {run.place for run in runs(at(*offsets))} <= {("t", 3)}
