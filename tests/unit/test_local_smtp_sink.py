"""The local mailbox keeps every mail as a file."""

from __future__ import annotations

import asyncio
import email
import email.policy
from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import pytest

from pointsman.local.smtp_sink import Mailbox, listen


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    server = await listen("127.0.0.1", 0, Mailbox(tmp_path / "mailbox"))
    async with server:
        yield server.sockets[0].getsockname()[1]


def mail(subject: str, body: str = "Good morning,\n\nyours\n") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "alex@sdr.example", "dana@customer.example", subject
    message["Message-ID"] = "<1@sdr.example>"
    message.set_content(body)
    return message


async def test_a_mail_arrives_as_a_file_with_the_addresses_of_its_envelope(port: int, tmp_path: Path) -> None:
    await aiosmtplib.send(mail("Grüße", "Schöne Größe\n"), hostname="127.0.0.1", port=port, sender="bounce@sdr.example",
                          recipients=["dana@customer.example"])  # fmt: skip
    (file,) = (tmp_path / "mailbox").iterdir()
    assert file.suffix == ".eml"
    kept = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert kept["Return-Path"] == "<bounce@sdr.example>"
    assert kept["Delivered-To"] == "dana@customer.example"
    assert kept["Message-ID"] == "<1@sdr.example>"
    assert kept["Subject"] == "Grüße"
    assert kept.get_content().strip() == "Schöne Größe"


async def test_mails_at_the_same_moment_are_files_of_their_own_in_order(port: int, tmp_path: Path) -> None:
    await asyncio.gather(*(aiosmtplib.send(mail(str(n)), hostname="127.0.0.1", port=port) for n in range(20)))
    assert len(list((tmp_path / "mailbox").glob("*.eml"))) == 20
    assert not list((tmp_path / "mailbox").glob("*.part"))
    await aiosmtplib.send(mail("last"), hostname="127.0.0.1", port=port)
    last = max((tmp_path / "mailbox").glob("*.eml"))
    assert b"Subject: last" in last.read_bytes()
