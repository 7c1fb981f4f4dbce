"""Leads from outside: the public form and the API; what programs, other sites and repeats get."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pointsman.errors import StoreUnavailableError
from tests.console_desk import API_KEY, Office

LEAD = {"email": "dana@customer.example", "company": "Northwind", "message": "A demo, please", "consent": True}


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def client(office: Office) -> Iterator[TestClient]:
    with office.client() as client:
        yield client


async def leads(office: Office) -> list[dict[str, Any]]:
    return await office.store.find("leads", {})


def post(client: TestClient, lead: dict[str, Any], **headers: str) -> Any:
    return client.post("/api/leads", json=lead, headers={"X-API-Key": API_KEY, **headers})


def form(client: TestClient, office: Office, **changes: Any) -> Any:
    """Fill the form in as a person would, but for `changes`."""
    ticket = client.get("/form/ticket").json()["ticket"]
    office.clock.advance(changes.pop("after_s", 5))
    headers = changes.pop("headers", {})
    body = {"lead": {**LEAD, **changes.pop("lead", {})}, "ticket": ticket, "nickname": "", **changes}
    return client.post("/form/leads", json=body, headers=headers)


async def test_a_lead_posted_with_a_key_is_in_mongodb_with_what_was_said(client: TestClient, office: Office) -> None:
    answer = post(client, {**LEAD, "first_name": "  Da\x00na\r\nBcc: x "})
    assert answer.status_code == 201
    (stored,) = await leads(office)
    assert stored["_id"] == answer.json()["id"]
    assert stored["first_name"] == "Dana Bcc: x"
    assert stored["created_at"] == "2030-01-02T03:04:05.000Z"
    assert stored["source"] == "api"
    assert "title" not in stored
    assert office.kafka.records == []


@pytest.mark.parametrize("key", ["", "wrong" * 6])
def test_without_a_valid_key_nothing_is_taken(client: TestClient, key: str) -> None:
    answer = client.post("/api/leads", json=LEAD, headers={"X-API-Key": key})
    assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")


async def test_the_same_key_means_the_same_lead_and_another_lead_is_refused(client: TestClient, office: Office) -> None:
    first = post(client, LEAD, **{"Idempotency-Key": "order-00001"})
    office.clock.advance(60)
    again = post(client, LEAD, **{"Idempotency-Key": "order-00001"})
    other = post(client, {**LEAD, "company": "Other"}, **{"Idempotency-Key": "order-00001"})
    assert [one.status_code for one in (first, again, other)] == [201, 200, 409]
    assert first.json() == again.json()
    assert other.headers["content-type"] == "application/problem+json"
    assert len(await leads(office)) == 1


@pytest.mark.parametrize(
    ("changes", "pointer"),
    [
        ({"email": "no address"}, "/email"),
        ({"email": "a@b@c.example"}, "/email"),
        ({"email": {"$gt": ""}}, "/email"),
        ({"consent": "yes"}, "/consent"),
        ({"company": "x" * 121}, "/company"),
        ({"message": ["a"]}, "/message"),
        ({"is_admin": True}, "/is_admin"),
        ({"$where": "1"}, "/$where"),
    ],
)
async def test_what_does_not_fit_is_named_and_not_stored(
    client: TestClient, office: Office, changes: dict[str, Any], pointer: str
) -> None:
    answer = post(client, {**LEAD, **changes})
    assert answer.status_code == 422
    assert [one["pointer"] for one in answer.json()["errors"]] == [pointer]
    assert await leads(office) == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"email": NaN}', b"\xff", b'{"a":' * 5000])
def test_no_body_makes_it_fail(client: TestClient, body: bytes) -> None:
    answer = client.post("/api/leads", content=body, headers={"X-API-Key": API_KEY, "Content-Type": "application/json"})
    assert answer.status_code in {400, 422}
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_store_that_is_away_is_said_so(client: TestClient, office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(collection: str, document: dict[str, Any]) -> dict[str, Any]:
        raise StoreUnavailableError("MongoDB does not answer")

    monkeypatch.setattr(office.store, "insert_once", away)
    assert post(client, LEAD).status_code == 503


async def test_a_filled_in_form_becomes_one_lead_however_often_it_is_sent(client: TestClient, office: Office) -> None:
    headers = {"Idempotency-Key": "a-random-key"}
    assert form(client, office, headers=headers).json() == {"accepted": True}
    assert form(client, office, headers=headers).json() == {"accepted": True}
    (stored,) = await leads(office)
    assert (stored["source"], stored["consent"]) == ("form", True)


async def test_a_program_that_fills_in_every_field_is_told_nothing(client: TestClient, office: Office) -> None:
    answer = form(client, office, nickname="bot")
    assert (answer.status_code, answer.json()) == (202, {"accepted": True})
    assert await leads(office) == []


@pytest.mark.parametrize(("seconds", "code"), [(1, "too_fast"), (25 * 3600, "ticket")])
async def test_a_form_that_was_filled_in_too_fast_or_too_late_is_not_taken(
    client: TestClient, office: Office, seconds: int, code: str
) -> None:
    answer = form(client, office, after_s=seconds)
    assert (answer.status_code, answer.json()["type"]) == (409, f"urn:pointsman:problem:{code}")
    assert await leads(office) == []


def test_a_forged_ticket_is_not_taken(client: TestClient, office: Office) -> None:
    assert form(client, office, ticket="MTg5OTk5.forged").json()["type"] == "urn:pointsman:problem:ticket"


async def test_without_consent_nothing_is_taken(client: TestClient, office: Office) -> None:
    answer = form(client, office, lead={"consent": False})
    assert answer.json()["errors"][0]["pointer"] == "/lead/consent"
    assert await leads(office) == []


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://evil.example"}, {"Origin": ""}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_a_form_on_another_site_is_not_taken(client: TestClient, office: Office, headers: dict[str, str]) -> None:
    assert form(client, office, headers=headers).status_code == 403
    assert await leads(office) == []


def test_five_forms_a_minute_and_not_more(client: TestClient, office: Office) -> None:
    answers = [form(client, office) for _ in range(6)]
    assert [one.status_code for one in answers] == [202] * 5 + [429]
    assert answers[-1].headers["retry-after"] == "60"


def test_the_api_is_described_without_anything_internal(client: TestClient) -> None:
    found = client.get("/api/openapi.json").json()
    assert set(found["paths"]) == {"/api/leads", "/healthz", "/readyz"}
    operation = found["paths"]["/api/leads"]["post"]
    assert {"201", "200", "401", "409", "422"} <= set(operation["responses"])
    assert {one["name"] for one in operation["parameters"]} >= {"Idempotency-Key"}
    assert operation["security"] == [{"APIKeyHeader": []}]
