"""Mails that come: which end all mail to a person, which answer one of ours, and which say nothing about one."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from pointsman.audit import read_entry
from pointsman.bounce_work import waiting
from pointsman.bounces import ReturnedMail, Verdict, read_returned
from pointsman.cli import leads, mail
from pointsman.envelope import Record
from pointsman.errors import BrokerUnavailableError, ConfigurationError, ErasedError, RefusedError
from pointsman.evaluation.feedback import MailOutcome, feedback
from pointsman.replies import read_reply
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


def reply(*headers: str, effect: str = EFFECT, sender: str = "Mara <mara@elsewhere.example>") -> bytes:
    lines = [f"From: {sender}", f"In-Reply-To: <{effect}@sdr.example>", *headers, "", "Call me!"]
    return "\r\n".join(lines).encode()


def test_an_answer_names_the_mail_that_it_answers() -> None:
    assert read_reply(reply()) == EFFECT
    assert read_reply(reply("Auto-Submitted: no", "Precedence: first-class")) == EFFECT
    in_a_thread = (
        f"References: <a@x.example> <{'0' * 64}@sdr.example>\r\n <{EFFECT}@sdr.example> <b@y.example>\r\n\r\nHi"
    )
    assert read_reply(in_a_thread.encode()) == EFFECT
    assert read_reply(b"Subject: Re: Hello\r\n\r\nThank you!") is None


@pytest.mark.parametrize(
    "header",
    [
        "Auto-Submitted: auto-replied",
        "AUTO-SUBMITTED: Auto-Generated (vacation); owner-email=x@y.example",
        "Auto-Submitted: auto-notified",
        "Precedence: bulk",
        "Precedence: auto_reply",
        "X-Autoreply: yes",
        "X-Autorespond: Out of office",
        "Return-Path: <>",
        "Content-Type: multipart/report; report-type=disposition-notification",
    ],
)
def test_what_a_machine_answers_is_no_reply(header: str) -> None:
    assert read_reply(reply(header)) is None


@pytest.mark.parametrize(
    "sender",
    [
        "MAILER-DAEMON@mx.example",
        "Mail Delivery System <Mailer-Daemon@mx.example>",
        "MAILER-DAEMON (Mail Delivery System)",
        "postmaster@elsewhere.example",
        '"Kim, Alex" <Kim@SDR.example>',
    ],
)
def test_what_a_mail_server_or_a_colleague_writes_in_the_thread_is_no_reply(sender: str) -> None:
    assert read_reply(reply(sender=sender)) is None


@given(st.binary(max_size=200), st.integers(min_value=0, max_value=len(reply())))
def test_no_bytes_make_reading_an_answer_fail(junk: bytes, at: int) -> None:
    read_reply(reply()[:at] + junk + reply()[at:])


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


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    records: list[Record] = []
    monkeypatch.setattr(mail, "publish", lambda bootstrap, some, transaction: records.extend(some))
    return records


async def test_a_reply_in_the_folder_is_on_record_and_becomes_a_label(
    store: InMemoryStore, tmp_path: Path, published: list[Record]
) -> None:
    await store.put("effects", {"_id": EFFECT, "state": "sent", "facts": {"lead_id": "lead-1", "message": "m-1"}})
    (tmp_path / "1.eml").write_bytes(reply())
    (tmp_path / "2.eml").write_bytes(reply("Auto-Submitted: auto-replied"))
    (tmp_path / "3.eml").write_bytes(reply(effect="0" * 64))
    told = await asyncio.to_thread(run, tmp_path, "--dry-run")
    assert (told.splitlines()[0], published) == ("would be: 1.eml  reply", [])
    output = await asyncio.to_thread(run, tmp_path)
    assert output.splitlines() == ["2.eml  not_a_notification", "3.eml  unknown_mail", "1.eml  reply"]
    entries = [entry for record in published if (entry := read_entry(record))]
    assert [(entry.by, entry.workflow_id) for entry in entries] == [("mail-reader", "lead-1")]
    assert feedback(entries, await store.find("effects", {}), []).outcomes == {"m-1": MailOutcome.REPLY}
    assert await store.count("suppressions", {}) == 0


async def test_a_reply_that_cannot_be_recorded_is_read_again(
    store: InMemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def down(*_: object) -> None:
        raise BrokerUnavailableError("Kafka does not answer")

    monkeypatch.setattr(mail, "publish", down)
    (tmp_path / "1.eml").write_bytes(reply())
    told = await asyncio.to_thread(CliRunner().invoke, mail.app, ["bounces", "--folder", str(tmp_path)])
    assert isinstance(told.exception, BrokerUnavailableError)
    assert (tmp_path / "1.eml").is_file()


class LookedTwiceError(Exception):
    """The command would look a third time."""


def refuse_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Nothing can be published; what was tried."""
    tried: list[object] = []

    def refused(*some: object) -> None:
        tried.append(some)
        raise error

    monkeypatch.setattr(mail, "publish", refused)
    return tried


@pytest.mark.parametrize("error", [BrokerUnavailableError("Kafka does not answer"), ConfigurationError("no access")])
async def test_a_reply_that_cannot_be_recorded_holds_no_bounce_up_and_does_not_end_the_watch(
    store: InMemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    tried, looks = refuse_with(error, monkeypatch), list[float]()

    def look_again(wait_s: float) -> None:
        looks.append(wait_s)
        if len(looks) == 2:
            raise LookedTwiceError

    monkeypatch.setattr("pointsman.cli.mail.time.sleep", look_again)
    for name, raw in (("1.eml", reply()), ("2.eml", reply()), ("3.eml", dsn())):
        (tmp_path / name).write_bytes(raw)
    words = ["bounces", "--folder", str(tmp_path), "--watch"]
    told = await asyncio.to_thread(CliRunner().invoke, mail.app, words)
    assert isinstance(told.exception, LookedTwiceError)
    assert told.stdout == "3.eml  hard_bounce  suppressed\n"
    assert told.stderr == f"pointsman: {error}; trying again\n" * 2
    assert await is_suppressed(store, PERSON)
    assert [file.name for file in waiting(tmp_path)] == ["1.eml", "2.eml"]
    assert len(tried) == 2, "once a round: what Kafka does not take of one reply it takes of none"


async def test_a_reply_about_an_erased_workflow_holds_no_other_up(
    store: InMemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = refuse_with(ErasedError(), monkeypatch)
    for name in ("1.eml", "2.eml"):
        (tmp_path / name).write_bytes(reply())
    told = await asyncio.to_thread(CliRunner().invoke, mail.app, ["bounces", "--folder", str(tmp_path)])
    assert isinstance(told.exception, ErasedError)
    assert len(tried) == 2


async def test_a_reply_with_large_files_is_one(store: InMemoryStore, tmp_path: Path, published: list[Record]) -> None:
    (tmp_path / "1.eml").write_bytes(reply() + b"x" * 11_000_000)
    assert await asyncio.to_thread(run, tmp_path) == "1.eml  reply\n"
    assert len(published) == 1


async def test_nothing_is_kept_of_a_reply_from_somebody_who_was_erased(
    store: InMemoryStore, tmp_path: Path, published: list[Record]
) -> None:
    await store.update_if("effects", EFFECT, {}, {"facts.lead_id": "erased", "erased_at": datetime.now(UTC)})
    (tmp_path / "1.eml").write_bytes(reply())
    assert await asyncio.to_thread(run, tmp_path) == "1.eml  unknown_mail\n"
    assert published == []


async def test_a_forged_notification_about_no_mail_of_ours_suppresses_nobody(
    store: InMemoryStore, tmp_path: Path
) -> None:

    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "1").write_bytes(dsn(effect="0" * 64))
    assert await asyncio.to_thread(run, tmp_path) == "1  unknown_mail\n"
    assert await store.count("suppressions", {}) == 0


async def test_a_file_that_cannot_be_read_holds_no_other_up(
    store: InMemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(file: Path) -> bytes:
        if file.name == "1.eml":
            raise PermissionError(13, "Permission denied")
        return file.read_bytes()

    monkeypatch.setattr(mail, "read", read)
    for name in ("1.eml", "2.eml"):
        (tmp_path / name).write_bytes(dsn())
    told = await asyncio.to_thread(CliRunner().invoke, mail.app, ["bounces", "--folder", str(tmp_path)])
    assert told.stdout == "2.eml  hard_bounce  suppressed\n"
    assert isinstance(told.exception, ConfigurationError)
    assert "1.eml: Permission denied" in str(told.exception)
    assert [file.name for file in waiting(tmp_path)] == ["1.eml"]


async def test_nothing_is_noted_of_a_mail_to_somebody_who_was_erased(
    store: InMemoryStore, published: list[Record]
) -> None:
    await store.update_if("effects", EFFECT, {}, {"facts.lead_id": "erased", "erased_at": datetime.now(UTC)})
    told = await asyncio.to_thread(CliRunner().invoke, mail.app, ["outcome", "erased", "--as", "reply"])
    assert isinstance(told.exception, RefusedError)
    assert published == []
