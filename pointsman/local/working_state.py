"""Where RocksDB keeps what the router job works with: in memory, where the machine has a file system for that.

At each checkpoint every operator has RocksDB write what is new and waits for the disk, and no message passes meanwhile
(docs/adr/0028-state-on-disk.md). What lies here is of no use once its TaskManager has ended: checkpoints are elsewhere.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

# What is made in it has a name that nobody can foresee, and is its owner's.
MEMORY: Final = Path("/dev/shm")  # noqa: S108  # nosec B108
_ENOUGH_BYTES: Final = 1 << 30
"""A week of ten messages per second; a container's file system in memory has 64 MB, which is too little."""


def make_folder(link: Path, memory: Path = MEMORY) -> Path:
    """A new folder for nobody else to read, empty, that `link` leads to; the one before is removed.

    Args:
        link: a place in the data folder; it is the folder itself where there is no room in memory.
        memory: the file system in memory.
    """
    remove_folder(link)
    if not has_room(memory):
        link.mkdir(mode=0o700, parents=True)
        return link
    folder = Path(tempfile.mkdtemp(prefix="pointsman-", dir=memory))
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(folder)
    return folder


def remove_folder(link: Path) -> None:
    """Remove the folder that `link` leads to."""
    if link.is_symlink():
        shutil.rmtree(link.readlink(), ignore_errors=True)
        link.unlink()
    else:
        shutil.rmtree(link, ignore_errors=True)


def has_room(memory: Path = MEMORY) -> bool:
    """Whether there is such a file system, and enough of it free."""
    try:
        return os.access(memory, os.W_OK) and shutil.disk_usage(memory).free >= _ENOUGH_BYTES
    except OSError:
        return False
