"""Words of a text, lightly stemmed, for comparing texts; English, good enough for others."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Final

_WORD: Final = re.compile(r"[^\W\d_]+(?:['\u2019][^\W\d_]{1,2})?")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?…])\s+|\s*\n+\s*")
_SPACE: Final = re.compile(r"\s+")
_LINK: Final = re.compile(r"https?://\S+|\S+@\S+\.\S+")
# fmt: off
_STOP: Final = frozenset((  # noqa: SIM905 - one word per line would be two pages
    "a about above after all also am an and any are as at be because been before being below between both but by can "
    "could did do does doing down during each few for from further get gets got had has have having he her here hers "
    "him his how i if in into is it its itself just let me more most my myself of off on once one only or other our "
    "ours out over own per please put same she should so some such than that the their theirs them then there these "
    "they this those through to too two under until up upon us very was we were what when where which while who whom "
    "why will with would you your yours e g ie eg etc dear hello hi thanks thank regards every case ask asks asked "
    "asking want wants wanted"
).split())
# Words that people use for one another; a text that holds one of a line also holds the line's `~` word.
_RELATIVES: Final = (
    "stop unsubscribe remove quit cease cancel opt end",
    "later spring summer autumn winter postpone pause holiday vacation leave await",
    "price pricing quote cost budget offer proposal",
    "demo call meeting meet talk presentation conversation",
    "mail email newsletter",
    "broken defect defective fault faulty outage crash",
)
# fmt: on


@lru_cache(maxsize=20_000)
def stem(word: str) -> str:
    """`word` without the usual English endings: `pricing`, `priced` and `price` become one."""
    word = word.replace("\u2019", "'").removesuffix("'s")
    for ending, replacement in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("edly", ""), ("ed", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)] + replacement
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "ls":
        word = word[:-1]
    return word[:-1] if len(word) > 3 and word.endswith("e") else word


_RELATIVE_OF: Final = {stem(word): f"~{line.split()[0]}" for line in _RELATIVES for word in line.split()}


def with_relatives(words: Iterable[str]) -> frozenset[str]:
    """`words` (stems) and what their relatives have in common."""
    known = frozenset(words)
    return known | {_RELATIVE_OF[word] for word in known if word in _RELATIVE_OF}


def relative(word: str) -> str:
    """What the stem has in common with its relatives, or the stem."""
    return _RELATIVE_OF.get(word, word)


def all_words(text: str) -> list[str]:
    """Every word's stem, in order, stop words included."""
    plain = unicodedata.normalize("NFKC", text.replace("_", " ")).casefold()
    return [stem(word) for word in _WORD.findall(plain)]


def content_words(text: str) -> dict[str, str]:
    """The stems that carry meaning, in order, each with the word it was first seen as."""
    found: dict[str, str] = {}
    for word in _WORD.findall(unicodedata.normalize("NFKC", text.replace("_", " "))):
        plain = word.casefold()
        if plain not in _STOP and len(plain) > 1:
            found.setdefault(stem(plain), word)
    return found


def sentences(text: str) -> list[str]:
    """The sentences of `text`, white space made single, without empty ones."""
    parts = _SENTENCE_END.split(text.strip())
    return [clean for part in parts if (clean := one_line(part))]


def one_line(text: str) -> str:
    """`text` on one line, without control characters."""
    printable = "".join(" " if unicodedata.category(char)[0] == "C" else char for char in text)
    return _SPACE.sub(" ", printable).strip()


def without_links(text: str) -> str:
    """`text` without web and mail addresses."""
    return _SPACE.sub(" ", _LINK.sub("", text)).strip()


def shortened(text: str, most: int) -> str:
    """`text` cut at a word's end to at most `most` characters."""
    if len(text) <= most:
        return text
    if most <= 1:
        return text[:most]
    head = text[: most - 1]
    cut = head.rsplit(" ", 1)[0] if " " in head[most // 2 :] else head
    return cut.rstrip(" ,;:-\u2013(") + "…"


def capitalised(text: str) -> str:
    """`text` with a capital first letter."""
    return text[:1].upper() + text[1:]


def joined(parts: list[str]) -> str:
    """`a, b and c`."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def lowered(text: str) -> str:
    """`text` with a small first letter, unless its first word is a name or an abbreviation for all we can tell."""
    return text[:1].lower() + text[1:] if text[1:2].islower() or text[1:2] == " " else text


def harmless(text: str) -> str:
    """`text` without brackets and markup, which mail programs and templates would read as more than text."""
    return _SPACE.sub(" ", re.sub(r"<[^>]*>|[<>{}\[\]`*|]", " ", text)).strip()
