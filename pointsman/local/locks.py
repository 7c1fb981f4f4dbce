"""One process at a time works on a folder."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pointsman.errors import ConfigurationError


@contextmanager
def locked(lock_file: Path, *, wait: bool) -> Iterator[None]:
    """Hold `lock_file` for the duration; the system frees it when the process dies.

    Args:
        lock_file: the file; made when missing and left behind.
        wait: wait for another holder to finish.

    Raises:
        ConfigurationError: another process holds it and `wait` is false.
    """
    with lock_file.open("a", encoding="utf-8") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise ConfigurationError(
                f"another `pointsman up` or `down` is at work on {lock_file.parent}", "wait until it has finished"
            ) from None
        yield
