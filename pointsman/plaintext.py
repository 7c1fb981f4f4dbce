"""Makes text that strangers typed fit to be read, stored and put into a mail: no control or invisible characters."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
"""Unicode categories: control, format (zero-width, right-to-left override), surrogate, private use, unassigned."""

_SPACES: Final = re.compile(r"\s+")
_LINE_SPACES: Final = re.compile(r"[^\S\n]+")
_BLANK_LINES: Final = re.compile(r"\n{3,}")
_ADDRESS: Final = re.compile(r"[^\s@<>()\[\],;:\"']{1,64}@[^\s@<>()\[\],;:\"']{1,255}")


def one_line(text: str, max_chars: int) -> str:
    """`text` as one line of at most `max_chars` characters: NFC, single spaces, nothing invisible."""
    return _cut(_SPACES.sub(" ", _visible(text[: 8 * max_chars], keep="\t\r\n\v\f\u2028\u2029\x85")).strip(), max_chars)


def many_lines(text: str, max_chars: int) -> str:
    """`text` with its lines kept, at most `max_chars` characters: NFC, nothing invisible, few blank lines."""
    text = text[: 8 * max_chars].replace("\r\n", "\n").replace("\r", "\n")
    lines = _LINE_SPACES.sub(" ", _visible(text, keep="\n\t"))
    return _cut(_BLANK_LINES.sub("\n\n", "\n".join(line.strip() for line in lines.split("\n"))).strip(), max_chars)


def without_addresses(text: str) -> str:
    """`text` with each e-mail address replaced, so that none travels on a topic or to a model."""
    return _ADDRESS.sub("[address]", text)


def has_address(text: str) -> bool:
    """Whether `text` holds something like an e-mail address."""
    return bool(_ADDRESS.search(text))


def _visible(text: str, *, keep: str) -> str:
    normal = unicodedata.normalize("NFC", text)
    return "".join(char for char in normal if char in keep or unicodedata.category(char) not in _INVISIBLE)


def _cut(text: str, max_chars: int) -> str:
    return text if len(text) <= max_chars else text[: max_chars - 1].rstrip() + "…"
