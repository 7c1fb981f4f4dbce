"""What a page says about its owner: title, description and first words, out of HTML of any quality."""

from __future__ import annotations

from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Final

from pointsman.plaintext import one_line

MAX_HTML_CHARS: Final = 400_000
_MAX_TAGS: Final = 20_000
_PIECE_CHARS: Final = 8_192
_SILENT: Final = frozenset({"script", "style", "noscript", "template", "svg", "iframe", "nav", "footer", "select"})


@dataclass(frozen=True, kw_only=True)
class PageText:
    """The words of a page that a visitor sees first.

    Attributes:
        title: the page's title, or an empty text.
        description: what the page says of itself for search engines, or an empty text.
        text: its first words.
    """

    title: str
    description: str
    text: str


def read_page(html: str, *, text_chars: int = 1200) -> PageText:
    """Read title, description and up to `text_chars` characters of text; work is bounded for any input."""
    reader = _Reader(text_chars)
    source = html[:MAX_HTML_CHARS]
    for start in range(0, len(source), _PIECE_CHARS):
        reader.feed(source[start : start + _PIECE_CHARS])
        # An unclosed construct makes the parser keep all it got and read it again at each feed: not worth waiting for.
        if reader.is_full or len(reader.rawdata) > 4 * _PIECE_CHARS:
            break
    return PageText(
        title=one_line("".join(reader.title), 200),
        description=one_line(reader.description, 400),
        text=one_line(" ".join(reader.words), text_chars),
    )


class _Reader(HTMLParser):
    def __init__(self, text_chars: int) -> None:
        super().__init__(convert_charrefs=True)
        self.title: list[str] = []
        self.description = ""
        self.words: list[str] = []
        self._room = text_chars
        self._tags = 0
        self._silent = 0
        self._in_title = False

    @property
    def is_full(self) -> bool:
        return self._room <= 0 or self._tags > _MAX_TAGS

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._tags += 1
        if tag == "title":
            self._in_title = not self.title
        elif tag == "meta":
            self._read_meta(dict(attrs))
        elif tag in _SILENT:
            self._silent += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag in _SILENT:
            self._silent = max(0, self._silent - 1)

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data[:500])
        elif not self._silent and self._room > 0:
            words = data.strip()[: self._room]
            self._room -= len(words)
            self.words.append(words)

    def _read_meta(self, attributes: dict[str, str | None]) -> None:
        name = (attributes.get("name") or attributes.get("property") or "").lower()
        if name in ("description", "og:description") and not self.description:
            self.description = (attributes.get("content") or "")[:2000]
