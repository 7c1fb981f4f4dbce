"""The SQL of the indexes, from the files beside this module."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Final

_NAMED: Final = re.compile(r"^-- name: (\w+)$\n", re.MULTILINE)


@lru_cache(maxsize=2)
def statements(file: str) -> Mapping[str, str]:
    """The statements of a file by the names that its comments give them."""
    _, *parts = _NAMED.split(files("pointsman.knowledge").joinpath(file).read_text(encoding="utf-8"))
    return {name: text.strip() for name, text in zip(parts[::2], parts[1::2], strict=True)}
