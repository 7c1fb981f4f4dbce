"""Leads go in as a form would put them in; addresses do not come out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pointsman.cli import leads
from pointsman.errors import ConfigurationError
from pointsman.store import Document
from pointsman.testing import InMemoryStore
from tests.recorded import Recorded


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> InMemoryStore:
    memory = InMemoryStore()
    monkeypatch.setattr(leads, "open_store", lambda: memory)
    return memory


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(leads.app, [str(word) for word in words])


def stored(store: InMemoryStore) -> list[Document]:
    return asyncio.run(store.find("leads", {}, sort="email"))


def test_one_lead_by_its_fields(store: InMemoryStore) -> None:
    result = run("add", "--email", "dana@x.example", "--first-name", "Dana", "--company", "Northwind", "--consent")
    (lead,) = stored(store)
    assert result.stdout == f"{lead['_id']} added\n"
    assert (lead["email"], lead["first_name"], lead["consent"]) == ("dana@x.example", "Dana", True)
    assert datetime.fromisoformat(lead["created_at"]).tzinfo == UTC
    assert "website" not in lead


def test_a_file_of_leads_twice_adds_those_with_an_id_once(store: InMemoryStore, tmp_path: Path) -> None:
    file = tmp_path / "some leads.json"
    file.write_text('[{"_id": "one", "email": "a@x.example"}, {"_id": "two", "email": "junk", "extra": {"x": [1]}}]')
    assert run("add", "--file", file).stdout == "one added\ntwo added\n"
    assert run("add", "--file", file).stdout == "one was there already\ntwo was there already\n"
    assert len(stored(store)) == 2


def test_the_shipped_examples_are_leads(store: InMemoryStore) -> None:
    examples = Path(__file__).parents[2] / "examples" / "leads.json"
    assert run("add", "--file", examples).exit_code == 0
    assert len(stored(store)) == len(leads.read_leads(examples))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "line 1, column 1: not JSON"),
        (b'[{"email": "a"},\n {]', "line 2, column 3: not JSON"),
        (b"[1]", "lead 1: not a JSON object"),
        (b'[{}, {"_id": 3}]', "lead 2: _id is no text"),
        (b"\xff\xfe", "not JSON in UTF-8"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_file_that_holds_something_else_is_refused_with_its_place(
    content: bytes, problem: str, tmp_path: Path, store: InMemoryStore
) -> None:
    file = tmp_path / "leads.json"
    file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=problem):
        leads.read_leads(file)
    assert run("add", "--file", file).exit_code != 0
    assert stored(store) == []


@pytest.mark.parametrize("words", [[], ["--file", "x", "--email", "y"], ["--company", "Northwind"]])
def test_it_takes_either_a_file_or_one_lead(words: list[str], store: InMemoryStore) -> None:
    assert isinstance(run("add", *words).exception, ConfigurationError)


def test_the_list_shows_the_newest_first_and_no_whole_address(store: InMemoryStore) -> None:
    for number in (1, 2, 3):
        lead = {"_id": f"id{number}", "email": "zoe@x.example", "created_at": f"2030-01-0{number}T00:00:00Z"}
        asyncio.run(store.put("leads", lead))
    output = run("ls", "--limit", "2").output
    assert output.index("id3") < output.index("id2")
    assert "id1" not in output
    assert "zoe@" not in output
    assert "z***@x.example" in output


async def test_a_lead_carries_the_trace_that_its_insertion_begins(store: InMemoryStore) -> None:
    recorded = Recorded()
    await leads.insert(store, [{"email": "dana@x.example"}], datetime.now(UTC), recorded.telemetry.spans)
    (lead,) = await store.find("leads", {})
    span = recorded.spans["insert leads"].context
    assert span is not None
    assert lead["traceparent"] == f"00-{span.trace_id:032x}-{span.span_id:016x}-{span.trace_flags:02x}"
    assert "dana" not in recorded.text


async def test_a_lead_that_brings_a_trace_keeps_it(store: InMemoryStore) -> None:
    await leads.insert(store, [{"traceparent": "theirs"}], datetime.now(UTC), Recorded().telemetry.spans)
    await leads.insert(store, [{"traceparent": "other"}], datetime.now(UTC))
    assert {lead["traceparent"] for lead in await store.find("leads", {})} == {"theirs", "other"}
