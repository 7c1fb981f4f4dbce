"""What a returned mail says: a delivery status notification (RFC 3464) or a complaint (RFC 5965). Pure.

A notification is trusted as far as it names a mail that the ledger knows: the address that it mentions is never used.
"""

from __future__ import annotations

import email
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import EmailMessage, Message
from email.policy import default
from enum import StrEnum
from typing import Final

MESSAGE_ID: Final = re.compile(r"<([0-9a-f]{64})@([^<>\s]+)>")
"""A `Message-ID` of ours, and in it the ledger id and the domain of the sender."""
BROKEN: Final = (ValueError, LookupError, AttributeError, TypeError, RecursionError)
"""What the standard library raises for mails that are broken enough."""
_PERMANENT: Final = re.compile(r"5\.\d{1,3}\.\d{1,3}")


class Verdict(StrEnum):
    """What a returned mail means for the person it was sent to."""

    HARD_BOUNCE = "hard_bounce"
    """The mailbox takes no mail, for good."""
    SOFT_BOUNCE = "soft_bounce"
    """Not now: full, delayed, refused for the moment."""
    COMPLAINT = "complaint"
    """The person called it spam."""


@dataclass(frozen=True, kw_only=True)
class ReturnedMail:
    """One notification.

    Attributes:
        effect: ledger id of the mail that came back, from its `Message-ID`.
        verdict: what it means.
    """

    effect: str
    verdict: Verdict


def read_returned(raw: bytes) -> ReturnedMail | None:
    """The notification in a mail; None when it is none, or does not say which mail of ours it is about."""
    try:
        message = email.message_from_bytes(raw, policy=default)
        verdict = _verdict(message)
        effect = _original(message) if verdict else None
    except BROKEN:
        return None
    return ReturnedMail(effect=effect, verdict=verdict) if verdict and effect else None


def _verdict(message: EmailMessage) -> Verdict | None:
    if message.get_content_type() != "multipart/report":
        return None
    kind = str(message.get_param("report-type", "")).lower()
    if kind == "feedback-report":
        return Verdict.COMPLAINT
    if kind != "delivery-status":
        return None
    groups = [group for part in message.walk() if part.get_content_type() == "message/delivery-status"
              for group in _groups(part)]  # fmt: skip
    return _of_recipients([group for group in groups if group.get("Final-Recipient") or group.get("Action")])


def _groups(part: Message) -> Iterator[Message]:
    content = part.get_payload()
    if isinstance(content, list):
        yield from (group for group in content if isinstance(group, Message))


def _of_recipients(groups: list[Message]) -> Verdict | None:
    """We write to one person per mail: any group that failed for good is about that person."""
    actions = [(str(group.get("Action", "")).strip().lower(), str(group.get("Status", "")).strip()) for group in groups]
    if any(action == "failed" and _PERMANENT.match(status) for action, status in actions):
        return Verdict.HARD_BOUNCE
    return Verdict.SOFT_BOUNCE if any(action in {"failed", "delayed"} for action, _ in actions) else None


def _original(message: EmailMessage) -> str | None:
    """The ledger id in the returned headers; those parts stand last."""
    for part in message.walk():
        if part.get_content_type() in {"message/rfc822", "text/rfc822-headers"}:
            returned = next(_groups(part), None)
            headers = returned if returned is not None else email.message_from_string(str(part.get_payload()))
            found = MESSAGE_ID.search(str(headers.get("Message-ID", "")))
            if found:
                return found.group(1)
    return None
