"""Reads documents of several formats into sections: Markdown, HTML, PDF and plain text."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

from pointsman.errors import ConfigurationError, RefusedError
from pointsman.plaintext import many_lines, one_line

MAX_BYTES: Final = 20 * 1024 * 1024
"""Largest document that is read."""
_MAX_CHARS: Final = 2_000_000
_MAX_PAGES: Final = 2_000
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_BLOCKS: Final = frozenset({"p", "div", "li", "tr", "br", "section", "article", "table", "ul", "ol", "pre", "dt", "dd"})
_SILENT: Final = frozenset({"script", "style", "noscript", "template", "svg", "iframe", "nav", "footer", "select"})


@dataclass(frozen=True, kw_only=True)
class Section:
    """The text under one heading.

    Attributes:
        headings: the headings above it, outermost first.
        text: its paragraphs, with blank lines between them.
    """

    headings: tuple[str, ...]
    text: str


def sections_of(name: str, content: bytes) -> list[Section]:
    """The sections of a document that hold text.

    Args:
        name: the file's name; its ending says the format.
        content: its bytes.

    Raises:
        RefusedError: it is too large, cannot be read, or holds no text.
        ConfigurationError: what its format needs is not installed.
    """
    if len(content) > MAX_BYTES:
        raise RefusedError(f"{one_line(name, 200)} has more than {MAX_BYTES // 1024**2} MiB", "split it")
    found = [section for section in READERS[Path(name).suffix.lower()](content) if section.text]
    if not found:
        raise RefusedError(f"{one_line(name, 200)} holds no text", "a scanned page needs text recognition first")
    return found


class _Outline:
    """Collects paragraphs under the headings that are open."""

    def __init__(self) -> None:
        self._open: list[tuple[int, str]] = []
        self._paragraphs: list[str] = []
        self.sections: list[Section] = []

    def heading(self, level: int, text: str) -> None:
        self.end()
        self._open = [each for each in self._open if each[0] < level]
        title = one_line(text, 200)
        if title:
            self._open.append((level, title))

    def paragraph(self, text: str) -> None:
        if text:
            self._paragraphs.append(text)

    def end(self) -> None:
        text = many_lines("\n\n".join(self._paragraphs), _MAX_CHARS)
        self.sections.append(Section(headings=tuple(title for _, title in self._open), text=text))
        self._paragraphs = []


def _markdown(content: bytes) -> Iterator[Section]:
    from markdown_it import MarkdownIt

    # As HTML, so that one reader knows what headings and paragraphs are; raw HTML inside stays inert text.
    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    yield from _html(renderer.render(_decoded(content)).encode())


def _html(content: bytes) -> Iterator[Section]:
    reader = _HtmlSections()
    reader.feed(_decoded(content))
    reader.close()
    yield from reader.finished()


def _text(content: bytes) -> Iterator[Section]:
    yield Section(headings=(), text=many_lines(_decoded(content), _MAX_CHARS))


def _pdf(content: bytes) -> Iterator[Section]:
    try:
        from pypdf import PdfReader
        from pypdf.errors import PyPdfError
    except ImportError:
        raise ConfigurationError("pypdf is not installed, PDF cannot be read", "install pointsman[knowledge]") from None
    try:
        pages = PdfReader(io.BytesIO(content)).pages
        texts = [pages[number].extract_text() for number in range(min(len(pages), _MAX_PAGES))]
    except (PyPdfError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        what = f"a PDF cannot be read ({type(error).__name__})"
        raise RefusedError(what, "export it anew, without a password") from None
    for number, text in enumerate(texts, start=1):
        yield Section(headings=(f"page {number}",), text=many_lines(text, _MAX_CHARS))


def _decoded(content: bytes) -> str:
    return content.decode("utf-8-sig", errors="replace")[:_MAX_CHARS]


class _HtmlSections(HTMLParser):
    """`pointsman.htmltext` reads the first words of a stranger's page; this keeps all words and their headings."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._outline = _Outline()
        self._words: list[str] = []
        self._silent = 0
        self._level = 0
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag == "title":
            self._in_title = True
        elif tag in _HEADINGS:
            self._end_paragraph()
            self._level = _HEADINGS[tag]
        elif tag in _BLOCKS:
            self._end_paragraph()

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag == "title":
            self._in_title = False
        elif tag in _HEADINGS and self._level:
            self._outline.heading(self._level, self._taken())
            self._level = 0
        elif tag in _BLOCKS:
            self._end_paragraph()
        elif tag in {"td", "th"}:
            self._words.append(" ")

    def handle_data(self, data: str) -> None:
        # The title repeats the first heading of the page, or names the site.
        if not self._silent and not self._in_title:
            self._words.append(data)

    def finished(self) -> list[Section]:
        self._end_paragraph()
        self._outline.end()
        return self._outline.sections

    def _end_paragraph(self) -> None:
        if not self._level:
            self._outline.paragraph(self._taken())

    def _taken(self) -> str:
        text, self._words = " ".join("".join(self._words).split()), []
        return text


READERS: Final[Mapping[str, Callable[[bytes], Iterator[Section]]]] = {
    ".md": _markdown,
    ".markdown": _markdown,
    ".html": _html,
    ".htm": _html,
    ".pdf": _pdf,
    ".txt": _text,
}
"""How a format is read, by the ending of the file's name."""
