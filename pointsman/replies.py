"""Which mail of ours a person answers: `In-Reply-To`, or `References`, names it. Pure; only headers are read.

What a machine answers is no reply: it says so (RFC 3834), is a mail server, or does what absence notes of older
programs do. Nor is what a colleague writes, from the domain that our mail came from.
"""

from __future__ import annotations

import re
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import parseaddr
from typing import Final

from pointsman.bounces import BROKEN, MESSAGE_ID

_OF_MACHINES: Final = frozenset({"bulk", "junk", "list", "auto_reply"})
"""Values of `Precedence` that people's mails do not have."""
_MAIL_SERVERS: Final = frozenset({"mailer-daemon", "postmaster"})
"""In whose name mail servers write: an address before the `@`."""


def read_reply(raw: bytes) -> str | None:
    """Ledger id of the mail that a person answers; None when the mail is no answer to one of ours, or a machine's."""
    try:
        headers = BytesHeaderParser().parsebytes(raw)
        sender, _, domain = _address(headers).partition("@")
        return None if sender in _MAIL_SERVERS or _is_automatic(headers) else _answered(headers, domain)
    except BROKEN:
        return None


def _is_automatic(headers: Message) -> bool:
    said = _values(headers, "Auto-Submitted")
    return (
        any(re.split(r"[\s;(]", value)[0] != "no" for value in said)
        or not _OF_MACHINES.isdisjoint(_values(headers, "Precedence"))
        or "X-Autoreply" in headers
        or "X-Autorespond" in headers
        or "<>" in _values(headers, "Return-Path")
        # Notes of delivery, or that it was opened.
        or headers.get_content_type() == "multipart/report"
    )


def _address(headers: Message) -> str:
    return parseaddr(", ".join(_values(headers, "From")))[1]


def _answered(headers: Message, writer: str) -> str | None:
    """The latest mail of ours in the thread, where it is not from the domain `writer`, too."""
    for name in ("In-Reply-To", "References"):
        found = MESSAGE_ID.findall(" ".join(_values(headers, name)))
        if found:
            identity, ours = found[-1]
            return None if writer == ours else str(identity)
    return None


def _values(headers: Message, name: str) -> list[str]:
    return [str(value).strip().lower() for value in headers.get_all(name, [])]
