"""Files that only their owner may read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

_OWNER_ONLY: Final = 0o600
_OWNER_ONLY_FOLDER: Final = 0o700


def secret_folder(path: Path) -> Path:
    """Make the folder `path` for its owner alone."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(_OWNER_ONLY_FOLDER)
    return path


def write_secret(path: Path, content: bytes) -> None:
    """Write `content` to `path` for its owner alone, whole or not at all."""
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _OWNER_ONLY), "wb") as opened:
        opened.write(content)
    unfinished.replace(path)
