"""Returned mails: which end all mail to a person, and which say nothing about one of ours."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from pointsman.bounces import ReturnedMail, Verdict, read_returned
from pointsman.cli import leads, mail
from pointsman.runtime.ledger import effect_id
from pointsman.suppressions import SUPPRESSIONS, SuppressionReason, is_suppressed, suppression_key
from pointsman.testing import InMemoryStore

EFFECT = effect_id("lead-1", "lead-1:outreach", "1")
PERSON = "mara.lind@nordhafen.example"


def dsn(
    action: str = "failed", status: str = "5.1.1", effect: str = EFFECT, original: str = "text/rfc822-headers"
) -> bytes:
    return f"""From: MAILER-DAEMON@mx.example
To: alex.kim@sdr.example
Subject: Undelivered Mail Returned to Sender
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

I am sorry to inform you.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; somebody.else@victim.example
Action: {action}
Status: {status}
Diagnostic-Code: smtp; 550 5.1.1 no such user

--b
Content-Type: {original}

From: Alex Kim <alex.kim@sdr.example>
To: mara.lind@nordhafen.example
Message-ID: <{effect}@sdr.example>
Subject: Hello

--b--
""".replace("\n", "\r\n").encode()


COMPLAINT = dsn().replace(b"report-type=delivery-status", b"report-type=feedback-report")


@pytest.mark.parametrize("original", ["text/rfc822-headers", "message/rfc822"])
def test_a_mailbox_that_does_not_exist_is_a_hard_bounce(original: str) -> None:
    assert read_returned(dsn(original=original)) == ReturnedMail(effect=EFFECT, verdict=Verdict.HARD_BOUNCE)


@pytest.mark.parametrize(
    ("action", "status", "verdict"),
    [
        ("failed", "4.2.2", Verdict.SOFT_BOUNCE),
        ("delayed", "4.4.1", Verdict.SOFT_BOUNCE),
        ("FAILED ", " 5.7.1", Verdict.HARD_BOUNCE),
    ],
)
def test_what_passes_is_told_from_what_does_not(action: str, status: str, verdict: Verdict) -> None:
    returned = read_returned(dsn(action, status))
    assert returned is not None
    assert returned.verdict is verdict


@pytest.mark.parametrize("raw", [dsn("delivered", "2.0.0"), dsn("relayed", "2.0.0"), b"", b"hello", b"\xff\x00" * 99])
def test_good_news_and_other_mails_are_no_notification(raw: bytes) -> None:
    assert read_returned(raw) is None


def test_a_complaint_is_heard() -> None:
    assert read_returned(COMPLAINT) == ReturnedMail(effect=EFFECT, verdict=Verdict.COMPLAINT)


@given(st.binary(max_size=200), st.integers(min_value=0, max_value=len(dsn())))
def test_no_bytes_make_it_fail(junk: bytes, at: int) -> None:
    read_returned(dsn()[:at] + junk + dsn()[at:])


@pytest.fixture
async def store(monkeypatch: pytest.MonkeyPatch) -> InMemoryStore:
    memory = InMemoryStore()
    recipient = await suppression_key(memory, PERSON)
    await memory.put("effects", {"_id": EFFECT, "state": "sent", "facts": {"recipient": recipient}})
    monkeypatch.setattr(leads, "open_store", lambda: memory)
    return memory


def run(folder: Path, *more: str) -> str:
    result = CliRunner().invoke(mail.app, ["bounces", "--folder", str(folder), *more])
    assert result.exit_code == 0, result.output
    return result.output


async def test_a_folder_is_worked_off_once_and_the_person_of_the_ledger_is_suppressed(
    store: InMemoryStore, tmp_path: Path
) -> None:
    (tmp_path / "1.eml").write_bytes(dsn())
    (tmp_path / "2.eml").write_bytes(dsn("delayed", "4.4.1"))
    (tmp_path / "3.eml").write_bytes(b"Subject: Re: Hello\r\n\r\nThank you!")

    told = await asyncio.to_thread(run, tmp_path, "--dry-run")
    assert told.splitlines()[0] == "would be: 1.eml  hard_bounce  suppressed"
    assert not await is_suppressed(store, PERSON)
    output = await asyncio.to_thread(run, tmp_path)
    assert output.splitlines() == ["1.eml  hard_bounce  suppressed", "2.eml  soft_bounce", "3.eml  not_a_notification"]
    assert await is_suppressed(store, PERSON)
    assert not await is_suppressed(store, "somebody.else@victim.example")
    assert await asyncio.to_thread(run, tmp_path) == ""
    (entry,) = await store.find(SUPPRESSIONS, {})
    assert entry["reason"] == SuppressionReason.RETURNED.value


async def test_a_forged_notification_about_no_mail_of_ours_suppresses_nobody(
    store: InMemoryStore, tmp_path: Path
) -> None:

    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "1").write_bytes(dsn(effect="0" * 64))
    assert await asyncio.to_thread(run, tmp_path) == "1  unknown_mail\n"
    assert await store.count("suppressions", {}) == 0
