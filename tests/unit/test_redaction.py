"""No marker of a person passes the redactor, whatever it is wrapped in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.logging import _PERSONAL, REDACTED, mask, redact
from pointsman.plaintext import has_address, without_addresses

local_parts = st.sampled_from([
    "kim", "kim.marker", "kim+tag", "KIM_MARKER", "k", "kim-marker", "kïm", "kim!marker", "kim%marker", "1234567890",
])  # fmt: skip
domains = st.sampled_from(
    ["example.com", "mail.example.co.uk", "xn--bcher-kva.example", "bücher.example", "b.рф", "localhost"]
)
addresses = st.builds("{}@{}".format, local_parts, domains)
around = st.sampled_from([
    "{}", "<{}>", '"Kim" <{}>', "({})", "mailto:{}", "to={},", "[{}]", "'{}'", "x\n{}\ny", "{};{}", "email:{}.", "https://h/?e={}",
    "smtp; 550 5.1.1 <{}>: Recipient rejected", "{{'email': '{}'}}", "user {} not found", "*{}*", "„{}“", "\t{}\r\n",
])  # fmt: skip
names = st.text(st.characters(categories=["Lu", "Ll"]), min_size=4, max_size=12)


def redacted(event: dict[str, Any]) -> str:
    return json.dumps(redact(None, "info", event), ensure_ascii=False, default=str)


def wrapped(text: str, depth: int) -> Any:
    value: Any = text
    for level in range(depth):
        value = [{"inner": value}, (value,), {"list": [1, value]}][level % 3]
    return value


@given(addresses, around, st.integers(0, 4))
def test_no_address_passes_whatever_stands_around_it_and_however_deep_it_lies(
    address: str, text: str, depth: int
) -> None:
    said = text.replace("{}", address)
    shown = redacted({"event": said, "details": wrapped(said, depth)})
    assert address not in shown
    assert address.partition("@")[0] + "@" not in shown
    assert REDACTED in shown


@given(addresses, around)
def test_no_address_travels_in_a_text_that_was_cleaned_or_masked(address: str, text: str) -> None:
    said = text.replace("{}", address)
    assert address not in without_addresses(said)
    assert not has_address(without_addresses(said))
    local, _, domain = address.partition("@")
    assert address not in mask(said) or len(local) == 1
    assert len(local) == 1 or f"{local}@{domain}" not in mask(said)


@given(st.sampled_from(sorted(_PERSONAL)), names, st.integers(0, 3))
def test_nothing_under_a_personal_name_passes(key: str, marker: str, depth: int) -> None:
    marker = f"{marker}#marker"
    assert marker not in redacted({"event": "x", key: marker, "details": {"more": {key: wrapped(marker, depth)}}})


@given(st.text(st.characters(categories=["L", "N"]), min_size=6, max_size=20))
def test_no_password_of_a_connection_string_passes(password: str) -> None:
    secret = f"{password}#"
    assert secret not in redacted({"event": f"mongodb://app:{secret}@db.example:27017/sdr"})


@pytest.mark.parametrize("address", ['"kim marker"@example.com', "kim%40example.com", "kim.marker%40mail.example.com"])
def test_addresses_in_quotes_and_in_links_do_not_pass(address: str) -> None:
    shown = redacted({"event": f"refused: {address}, tried again"})
    assert "kim" not in shown


@given(st.dictionaries(st.text(max_size=8), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=9,
)))  # fmt: skip
def test_nothing_makes_the_redactor_raise(event: dict[str, Any]) -> None:
    redact(None, "info", event)
