"""RFC 8058: one POST without anything else unsubscribes; no GET does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import SecretStr

from pointsman.console.guard import Guard
from pointsman.errors import StoreUnavailableError
from pointsman.settings import Settings
from pointsman.suppressions import SUPPRESSIONS, SuppressionReason, is_suppressed, suppression_key
from pointsman.testing import InMemoryStore
from pointsman.unsubscribe import PATH, UnsubscribeLinks
from pointsman.unsubscribe_http import stored_unsubscriptions, unsubscribe_router

PERSON = "mara.lind@nordhafen.example"
TOLD = Settings(mail_unsubscribe_secret="s3cret", mail_unsubscribe_base_url=f"http://testserver{PATH}")


@pytest.fixture
def store() -> InMemoryStore:
    return InMemoryStore()


@pytest.fixture
def client(store: InMemoryStore) -> Iterator[TestClient]:
    app = FastAPI()
    app.include_router(stored_unsubscriptions(store, TOLD))
    with TestClient(app, follow_redirects=False) as client:
        yield client


@pytest.fixture
def link(store: InMemoryStore) -> str:
    links = UnsubscribeLinks(base_url=TOLD.mail_unsubscribe_base_url, secret=SecretStr("s3cret"))
    return links.link(asyncio.run(suppression_key(store, PERSON)))


def suppressed(store: InMemoryStore) -> bool:
    return asyncio.run(is_suppressed(store, PERSON))


def test_one_click_unsubscribes_at_once(client: TestClient, store: InMemoryStore, link: str) -> None:
    answer = client.post(link, data={"List-Unsubscribe": "One-Click"})
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert "location" not in answer.headers
    assert suppressed(store)
    (entry,) = asyncio.run(store.find(SUPPRESSIONS, {}))
    assert entry["reason"] == SuppressionReason.UNSUBSCRIBED.value


def test_behind_the_consoles_guard_the_button_may_still_be_pressed(store: InMemoryStore, link: str) -> None:
    app = FastAPI()
    app.include_router(stored_unsubscriptions(store, TOLD))
    app.add_middleware(Guard, hosts=["testserver"])
    with TestClient(app) as client:
        page = client.get(link)
        assert "form-action 'self'" in page.headers["content-security-policy"]
        assert page.headers["x-content-type-options"] == "nosniff"
        assert client.post(link).status_code == 200
    assert suppressed(store)


def test_a_post_with_no_body_and_one_that_is_repeated_count_too(
    client: TestClient, store: InMemoryStore, link: str
) -> None:
    assert [client.post(link).status_code for _ in range(2)] == [200, 200]
    assert suppressed(store)
    assert asyncio.run(store.count("suppressions", {})) == 1


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_a_scanner_that_opens_the_link_changes_nothing(
    client: TestClient, store: InMemoryStore, link: str, method: str
) -> None:
    client.request(method, link)
    assert not suppressed(store)


def test_the_page_has_a_button_that_posts_to_itself(client: TestClient, link: str) -> None:
    page = client.get(link)
    assert page.status_code == 200
    assert '<form method="post"><button type="submit">' in page.text
    assert "form-action 'self'" in page.headers["content-security-policy"]
    assert PERSON not in page.text


@pytest.mark.parametrize("token", ["forged", "%3Cscript%3E", "a" * 5000])
def test_a_forged_link_unsubscribes_nobody_and_is_not_repeated_on_the_page(
    client: TestClient, store: InMemoryStore, token: str
) -> None:
    for answer in (client.get(f"{PATH}/{token}"), client.post(f"{PATH}/{token}")):
        assert answer.status_code == 404
        assert "script>" not in answer.text
    assert asyncio.run(store.count("suppressions", {})) == 0


def test_when_the_store_is_away_the_sender_is_asked_to_try_again(link: str) -> None:
    async def links() -> UnsubscribeLinks:
        return UnsubscribeLinks(base_url="x", secret=SecretStr("s3cret"))

    async def fail(_: str) -> None:
        raise StoreUnavailableError("MongoDB does not answer")

    app = FastAPI()
    app.include_router(unsubscribe_router(links, fail))
    answer = TestClient(app).post(link)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
