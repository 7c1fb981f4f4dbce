"""Files that commands make: new ones only, readable by their owner alone, since they may hold personal data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pointsman.errors import ConfigurationError


@contextmanager
def new_file(path: Path) -> Iterator[IO[bytes]]:
    """Make `path` and open it for writing.

    Raises:
        ConfigurationError: the file exists, or cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be made: {error.strerror}", "choose another --output") from None
    with os.fdopen(descriptor, "wb") as file:
        yield file
