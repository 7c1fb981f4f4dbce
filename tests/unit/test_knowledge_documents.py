"""Documents of several formats become passages that stay under their headings."""

from __future__ import annotations

from pathlib import Path

import pytest

from pointsman.errors import RefusedError
from pointsman.knowledge.chunking import chunks_of
from pointsman.knowledge.reading import Section, sections_of

SHIPPED = Path("examples/knowledge/documents")


def test_markdown_is_cut_at_its_headings() -> None:
    text = "intro\n\n# One\n\nfirst *words*\n\n## Two\n\n- a\n- b\n\n# Three\n\n| x | y |\n|---|---|\n| 1 | 2 |\n"
    found = sections_of("a.md", text.encode())
    assert [(section.headings, section.text.split()) for section in found] == [
        ((), ["intro"]),
        (("One",), ["first", "words"]),
        (("One", "Two"), ["a", "b"]),
        (("Three",), ["x", "y", "1", "2"]),
    ]


def test_html_is_read_without_what_nobody_reads() -> None:
    page = b"<title>T</title><nav>menu</nav><h1>Head</h1><p>seen<script>hidden()</script></p><footer>imprint</footer>"
    assert sections_of("a.html", page) == [Section(headings=("Head",), text="seen")]


def test_html_in_markdown_stays_text() -> None:
    found = sections_of("a.md", b"before <script>alert(1)</script> after")
    assert found[0].text == "before <script>alert(1)</script> after"


def test_a_pdf_is_cut_at_its_pages() -> None:
    found = sections_of("onboarding.pdf", (SHIPPED / "onboarding.pdf").read_bytes())
    assert [section.headings for section in found] == [("page 1",)]
    assert "storekeepers are trained for two hours" in found[0].text


@pytest.mark.parametrize("name", ["a.md", "a.html", "a.pdf", "a.txt"])
@pytest.mark.parametrize("content", [b"", b"%PDF-1.4\ngarbage"])
def test_a_document_without_text_is_refused_or_read(name: str, content: bytes) -> None:
    if content and not name.endswith("pdf"):
        assert sections_of(name, content)
        return
    with pytest.raises(RefusedError):
        sections_of(name, content)


def test_a_passage_never_goes_over_a_heading_and_keeps_to_its_length() -> None:
    sections = [
        Section(headings=("A",), text="short\n\n" + "A sentence of some words. " * 80),
        Section(headings=("B",), text="x" * 2000),
    ]
    chunks = chunks_of(sections, most_chars=300)
    assert max(len(chunk.text) for chunk in chunks) <= 300
    assert {chunk.heading for chunk in chunks} == {"A", "B"}
    assert "".join(chunk.text for chunk in chunks if chunk.heading == "B") == "x" * 300 + "x" * 200
    assert all("x" not in chunk.text for chunk in chunks if chunk.heading == "A")


def test_the_same_passage_has_the_same_id_and_stands_once() -> None:
    section = Section(headings=("A",), text="the same words")
    assert chunks_of([section]) == chunks_of([section, section])
    assert chunks_of([section])[0].id != chunks_of([Section(headings=("B",), text=section.text)])[0].id
