"""The example of a plan: what each of its agents says, and that the plan can be carried out."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pointsman.catalog import Catalog
from pointsman.contracts import Contract
from pointsman.definitions.loader import load_folder
from pointsman.definitions.source import parse
from pointsman.definitions.validation import validate
from pointsman.envelope import Payload
from pointsman.errors import PermanentError, TransientError
from pointsman.fetch import FetchError, Page, SafeFetcher
from pointsman.plans import checked_plan
from pointsman.routing import Router
from pointsman.runtime import AgentContext, Reply
from pointsman.settings import Settings
from pointsman.testing import InMemoryStore, ManualClock, ScriptedModel
from tests.sdr import DEFINITIONS as SDR
from tests.sdr import message

FOLDER = Path("examples/account-research")
LOADED = load_folder(FOLDER, beside=SDR.values())
DEFINITIONS = {found.name: found for found in LOADED.definitions}
COMPANY = {"company": "Northwind Wholesale", "domain": "northwind.example"}
FACT = {"fact": "Site title: Northwind", "source": "website"}


def context(name: str, store: InMemoryStore | None = None, **settings: Any) -> AgentContext:
    declared = DEFINITIONS[name]
    return AgentContext(
        definition=declared.model_copy(update={"settings": {**declared.settings, **settings}}),
        model=ScriptedModel([]),
        store=store or InMemoryStore(),
        settings=Settings(),
        now=ManualClock(),
        effects_allowed=lambda: True,
    )


async def said(name: str, event_type: str, payload: Payload, **more: Any) -> Sequence[Reply]:
    """What the agent answers; both sides keep the definition's contracts."""
    definition = DEFINITIONS[name]
    accepted = definition.accepted(event_type)
    assert accepted
    Contract(accepted.contract).check(payload)
    replies: Sequence[Reply] = (
        await import_module(f"agents.{name}").build(context(name, **more)).handle(message(event_type, payload))
    )
    for reply in replies:
        emitted = definition.emitted(reply.event_type)
        assert emitted
        Contract(emitted.contract).check(reply.payload)
    return replies


def test_the_definitions_of_the_example_are_valid_beside_the_shipped_ones() -> None:
    assert [str(problem) for problem in LOADED.problems] == []
    assert len(DEFINITIONS) == 4


@pytest.mark.parametrize("more", [{}, {"website": "northwind.example/about"}])
async def test_the_plan_can_be_carried_out(more: dict[str, str]) -> None:
    (reply,) = await said("account_research", "account.research_requested", {**COMPANY, **more})
    router = Router(Catalog.of([*DEFINITIONS.values(), *SDR.values()]))
    plan = checked_plan(reply.payload, router.catalog, router.candidates)
    assert [task.id for task in plan.tasks] == ["site", "history", "news"]
    assert all(task.needs == [] for task in plan.tasks), "they run side by side"


def test_the_plan_in_the_docs_can_be_carried_out() -> None:
    page = Path("docs/agents.md").read_text()
    (shown,) = [block for block in re.findall(r"```json\n(.*?)```", page, re.DOTALL) if '"tasks"' in block]
    (planner,) = [block for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "plan.proposed" in block]
    definition, problems = validate(parse(planner, "account_review.yaml"))
    assert problems == []
    assert definition
    Contract(json.loads(Path("docs/plan.schema.json").read_text())).check(json.loads(shown))
    router = Router(Catalog.of([definition, *DEFINITIONS.values()]))
    plan = checked_plan(json.loads(shown), router.catalog, router.candidates)
    assert definition.accepted(plan.join.event_type)


async def test_the_findings_become_one_profile_that_names_what_is_missing() -> None:
    store = InMemoryStore()
    results = {"site": {"failed": "attempts_exhausted"}, "history": {"facts": []}, "news": {"facts": [FACT]}}
    (reply,) = await said("account_research", "account.findings_joined", {**COMPANY, "results": results}, store=store)
    assert (reply.event_type, reply.payload["facts"], reply.payload["missing"]) == (
        "account.profiled",
        [FACT],
        ["site"],
    )
    kept = await store.get("accounts", "northwind.example")
    assert kept
    assert kept["profile"] == reply.payload


async def test_history_counts_whom_we_have_met_and_names_nobody() -> None:
    store = InMemoryStore()
    await store.put("profiles", {"_id": "l1", "email_domain": "northwind.example", "first_name": "Dana"})
    await store.put("scores", {"_id": "l1", "score": 80})
    (reply,) = await said("account_history", "account.history_requested", COMPANY, store=store)
    assert [fact["fact"] for fact in reply.payload["facts"]] == [
        "Other people of this company known to us: 1", "Highest score among them: 80",
    ]  # fmt: skip


async def test_news_of_the_company_come_from_the_shipped_file() -> None:
    (reply,) = await said("account_news", "account.news_requested", {"company": "northwind WHOLESALE"})
    assert len(reply.payload["facts"]) == 1
    assert "Leipzig" in reply.payload["facts"][0]["fact"]


async def test_only_the_latest_news_count(tmp_path: Path) -> None:
    items = [{"title": f"Acme {day}", "date_published": f"2026-01-0{day}"} for day in range(1, 5)]
    file = tmp_path / "news.json"
    file.write_text(json.dumps({"items": [*items, "no item"]}))
    more = {"file": str(file), "most_items": 2}
    (reply,) = await said("account_news", "account.news_requested", {"company": "Acme"}, **more)
    assert [fact["fact"] for fact in reply.payload["facts"]] == ["2026-01-04 Acme 4", "2026-01-03 Acme 3"]


@pytest.mark.parametrize("text", [None, "no JSON", "[]", "{}"])
async def test_a_news_file_that_cannot_be_read_is_a_failure_of_the_task(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "news.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(PermanentError, match="news file"):
        await said("account_news", "account.news_requested", {"company": "Acme"}, file=str(file))


SITE = {"company": "Northwind Wholesale", "website": "northwind.example"}


def site_says(monkeypatch: pytest.MonkeyPatch, answer: Page | FetchError) -> None:
    async def fetch(self: SafeFetcher, address: str) -> Page:
        if isinstance(answer, FetchError):
            raise answer
        return answer

    monkeypatch.setattr(SafeFetcher, "fetch", fetch)


async def test_a_site_becomes_facts_without_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    html = "<title>Northwind</title><body>Write to dana@northwind.example</body>"
    site_says(monkeypatch, Page(host="northwind.example", html=html))
    (reply,) = await said("account_site", "account.site_requested", SITE)
    assert reply.payload["facts"][0] == FACT
    assert "@" not in json.dumps(reply.payload)


@pytest.mark.parametrize("why", ["status 503", "time-out", "no connection (OSError)"])
async def test_a_site_that_is_down_is_tried_again(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    site_says(monkeypatch, FetchError(why))
    with pytest.raises(TransientError):
        await said("account_site", "account.site_requested", SITE)


@pytest.mark.parametrize("why", ["refused address", "status 404", "not HTML"])
async def test_a_site_that_is_none_says_nothing(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    site_says(monkeypatch, FetchError(why))
    (reply,) = await said("account_site", "account.site_requested", SITE)
    assert reply.payload == {"facts": []}
