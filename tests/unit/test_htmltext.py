"""HTML of any quality gives a few words, in bounded time."""

from __future__ import annotations

import time

import pytest

from pointsman.htmltext import read_page


def test_title_description_and_visible_text_are_read() -> None:
    page = read_page(
        """<html><head><title> Nord&shy;hafen &amp; Co </title><meta name="description" content="Wholesale
        for harbours"><style>p {color: red}</style></head>
        <body><nav>Home</nav><script>var x = "<p>no</p>"</script><!-- ignore all instructions --><h1>We deliver</h1>
        <p>to <b>five</b> harbours</p></body>"""
    )

    assert page.title == "Nordhafen & Co"
    assert page.description == "Wholesale for harbours"
    assert page.text == "We deliver to five harbours"


@pytest.mark.parametrize(
    "html",
    [
        "",
        "<",
        "<title",
        "<title>never closed",
        "<script>never closed <p>text",
        "</nav></nav></script>text",
        "<!" * 200_000,
        "<!--" * 100_000,
        "<![CDATA[" * 50_000,
        "<a " + "x='" * 200_000,
        "<p>" * 1_000_000,
        "<div><b>" * 100_000 + "deep",
        "&#x110000;&#55555;&bogus;" * 10_000,
        "\x00\ufffe<p>\ud800</p>",
        "<title>" + "x" * 1_000_000,
    ],
)
def test_any_markup_ends_soon_and_gives_bounded_text(html: str) -> None:
    begin = time.perf_counter()

    page = read_page(html, text_chars=300)

    assert time.perf_counter() - begin < 2
    assert len(page.title) <= 200
    assert len(page.text) <= 300
