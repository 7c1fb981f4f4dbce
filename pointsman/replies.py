"""Which mail of ours a person answers: `In-Reply-To`, or `References`, names it. Pure; only headers are read.

What a machine answers is no reply: it says so (RFC 3834), or does what absence notes of older programs do.
"""

from __future__ import annotations

import re
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Final

from pointsman.bounces import BROKEN, MESSAGE_ID

_OF_MACHINES: Final = frozenset({"bulk", "junk", "list", "auto_reply"})
"""Values of `Precedence` that people's mails do not have."""


def read_reply(raw: bytes) -> str | None:
    """Ledger id of the mail that a person answers; None when the mail is no answer to one of ours, or a machine's."""
    try:
        headers = BytesHeaderParser().parsebytes(raw)
        return None if _is_automatic(headers) else _answered(headers)
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


def _answered(headers: Message) -> str | None:
    """The latest mail of ours in the thread."""
    for name in ("In-Reply-To", "References"):
        found = MESSAGE_ID.findall(" ".join(_values(headers, name)))
        if found:
            return str(found[-1])
    return None


def _values(headers: Message, name: str) -> list[str]:
    return [str(value).strip().lower() for value in headers.get_all(name, [])]
