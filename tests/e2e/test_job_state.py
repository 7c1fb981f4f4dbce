"""What the running job keeps on its TaskManager's disk."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pointsman.local.layout import Layout
from tests.e2e.system import System
from tests.witness import eventually

BOUND = 256 * 1024
ONE_CHECKPOINT = 16 * 1024
"""A new log begins after the checkpoint that crosses the bound."""


def contents(folder: Path, pattern: str) -> Iterator[bytes]:
    """Of each file of that name below `folder`; RocksDB replaces them while the job runs."""
    for each in folder.resolve().rglob(pattern):
        with suppress(FileNotFoundError):
            yield each.read_bytes()


def test_the_log_of_files_that_each_checkpoint_copies_is_bounded(system: System) -> None:
    working_state = Layout(data_dir=system.data_dir).working_state
    eventually(lambda: list(contents(working_state, "OPTIONS-*")), what="RocksDB's settings")
    said = b"".join(contents(working_state, "OPTIONS-*"))

    assert set(re.findall(rb"max_manifest_file_size=(\d+)", said)) == {b"%d" % BOUND}
    assert max(map(len, contents(working_state, "MANIFEST-*"))) < BOUND + ONE_CHECKPOINT
