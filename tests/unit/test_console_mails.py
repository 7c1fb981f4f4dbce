"""What operators see of a workflow's mails, and say of what became of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from pointsman.audit import read_entry
from pointsman.evaluation.feedback import MailOutcome, feedback
from pointsman.topics import AUDIT, MESSAGES
from tests.console_desk import OPERATOR_KEY, Office, acts, unlock
from tests.journey_records import message

AS_SENT = {"From": "Alex <alex@sdr.example>", "To": "ann@acme.example", "Subject": "Grüße", "Text": "Hello <b>Ann"}


@pytest.fixture
def office() -> Office:
    return Office()


@pytest.fixture
def client(office: Office) -> Iterator[TestClient]:
    with office.client(OPERATOR_KEY) as client:
        yield client


async def begun(office: Office, **facts: Any) -> None:
    office.kafka.write(message("w", 1, "campaign.drafted", {"subject": "Hi", "body": "Hello Ann"}))
    known = {"message": "w-1", "message_id": "<e1@sdr.example>", "sent_at": "2030-01-02T03:04:05.000Z", **facts}
    entry = {"_id": "e1", "state": "sent", "attempt": 1, "token": "t", "facts": known, "reserved_at": office.clock()}
    await office.store.put("effects", entry)


async def test_a_mail_is_shown_as_it_was_sent(client: TestClient, office: Office) -> None:
    await begun(office, content=AS_SENT)
    (mail,) = client.get("/api/workflows/w").json()["mails"]
    assert (mail["subject"], mail["to"], mail["hidden"], "body" in mail) == ("Grüße", "a***@acme.example", True, False)
    unlock(client)
    (mail,) = client.get("/api/workflows/w").json()["mails"]
    assert (mail["as_sent"], mail["to"], mail["body"]) == (True, "ann@acme.example", "Hello <b>Ann")


async def test_where_the_ledger_has_no_mail_the_text_that_it_is_made_of_is_shown(
    client: TestClient, office: Office
) -> None:
    await begun(office)
    unlock(client)
    (mail,) = client.get("/api/workflows/w").json()["mails"]
    assert (mail["as_sent"], mail["subject"], mail["body"], mail["state"]) == (False, "Hi", "Hello Ann", "sent")


@pytest.mark.parametrize("became", ["reply", "meeting"])
async def test_what_became_of_a_mail_is_on_record_with_the_persons_name_and_becomes_a_label(
    client: TestClient, office: Office, became: str
) -> None:
    await begun(office, lead_id="w")
    told = {"effect_id": "e1", "outcome": became}
    assert client.post("/api/workflows/w/outcome", json=told).status_code == 202
    assert acts(office) == [("mail.outcome", "mails/e1", "Olga")]
    assert client.get("/api/workflows/w").json()["mails"][0]["outcome"] == became
    entries = [entry for record in office.kafka.of(AUDIT) if (entry := read_entry(record))]
    assert feedback(entries, await office.store.find("effects", {}), []).outcomes == {"w-1": MailOutcome(became)}
    assert len(office.kafka.of(MESSAGES)) == 1


async def test_the_latest_word_on_a_mail_is_shown(client: TestClient, office: Office) -> None:
    await begun(office, lead_id="w")
    assert client.get("/api/workflows/w").json()["mails"][0]["outcome"] is None
    for became in ("reply", "meeting"):
        client.post("/api/workflows/w/outcome", json={"effect_id": "e1", "outcome": became})
        office.clock.advance(1)
    assert client.get("/api/workflows/w").json()["mails"][0]["outcome"] == "meeting"


@pytest.mark.parametrize(
    ("workflow", "told", "status"),
    [
        ("w", {"effect_id": "e9", "outcome": "reply"}, 404),
        ("other", {"effect_id": "e1", "outcome": "reply"}, 404),
        ("w", {"effect_id": "e2", "outcome": "reply"}, 409),
        ("w", {"effect_id": "e1", "outcome": "applause"}, 422),
    ],
)
async def test_nothing_is_said_of_a_mail_that_is_not_the_workflows_or_was_not_sent(
    client: TestClient, office: Office, workflow: str, told: dict[str, str], status: int
) -> None:
    await begun(office, lead_id="w")
    entry = {"state": "unknown", "attempt": 1, "token": "t", "facts": {"lead_id": "w"}, "reserved_at": office.clock()}
    await office.store.put("effects", {"_id": "e2", **entry})
    assert client.post(f"/api/workflows/{workflow}/outcome", json=told).status_code == status
    assert acts(office) == []


async def test_nothing_is_said_of_a_mail_to_somebody_who_was_erased(client: TestClient, office: Office) -> None:
    await begun(office)
    assert client.get("/api/workflows/w").json()["mails"][0]["is_erased"] is False
    await office.store.update_if("effects", "e1", {}, {"facts.lead_id": "erased", "erased_at": office.clock()})
    answer = client.post("/api/workflows/w/outcome", json={"effect_id": "e1", "outcome": "reply"})
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:pointsman:problem:erased")
    assert client.get("/api/workflows/w").json()["mails"][0]["is_erased"] is True
    assert acts(office) == []


async def test_what_became_of_a_mail_whose_lead_the_ledger_does_not_know_is_the_workflows(
    client: TestClient, office: Office
) -> None:
    await begun(office)
    client.post("/api/workflows/w/outcome", json={"effect_id": "e1", "outcome": "reply"})
    assert client.get("/api/workflows/w").json()["mails"][0]["outcome"] == "reply"
