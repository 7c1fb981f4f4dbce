"""The mails of one workflow as the ledger keeps them: as sent, or the text that they were made of."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pointsman.audit import read_entry
from pointsman.envelope import Record, decode
from pointsman.errors import InvalidEnvelopeError
from pointsman.evaluation.feedback import noted_outcomes
from pointsman.masking import masked_line
from pointsman.plaintext import many_lines, one_line
from pointsman.topics import AUDIT, MESSAGES
from pointsman.workflow_control import header

_LONGEST_BODY: Final = 8_000
_LONGEST_LINE: Final = 300


def mails(effects: Iterable[Mapping[str, Any]], records: Sequence[Record], *, unmask: bool) -> list[dict[str, Any]]:
    """One entry per effect of the ledger, in the order in which they were begun.

    Args:
        effects: the ledger's documents about the workflow.
        records: the workflow's records.
        unmask: also show the text and whom it was sent to.
    """
    drafts = {header(record, "ce_id"): record for record in records if record.topic == MESSAGES}
    acts = filter(None, (read_entry(record) for record in records if record.topic == AUDIT))
    outcomes = noted_outcomes(acts)
    found = [
        {**_mail(effect, drafts), "outcome": outcomes.get(str(effect["_id"]))}
        for effect in sorted(effects, key=lambda effect: effect["reserved_at"])
    ]
    return [mail if unmask else _masked(mail) for mail in found]


def _mail(effect: Mapping[str, Any], drafts: Mapping[str, Record]) -> dict[str, Any]:
    facts: Mapping[str, Any] = effect["facts"]
    kept = _as_sent(facts.get("content"))
    about = {"effect_id": effect["_id"], "state": effect["state"], "is_erased": "erased_at" in effect}
    sent = {"message_id": str(facts.get("message_id") or ""), "sent_at": facts.get("sent_at")}
    text = kept or _draft(drafts.get(str(facts.get("message") or "")))
    return {**about, **sent, "as_sent": bool(kept), "reason": facts.get("reason"), **text}


def _as_sent(content: Any) -> dict[str, str]:
    """What the ledger keeps of the mail itself."""
    if not isinstance(content, Mapping):
        return {}
    lines = {name.lower(): one_line(str(content.get(name, "")), _LONGEST_LINE) for name in ("From", "To", "Subject")}
    return {**lines, "body": many_lines(str(content.get("Text", "")), _LONGEST_BODY)}


def _draft(record: Record | None) -> dict[str, str]:
    """What the message says that the effect carries out, as far as it is a mail."""
    if record is None:
        return {}
    try:
        payload = decode(record).payload
    except InvalidEnvelopeError:
        return {}
    subject, body = payload.get("subject"), payload.get("body")
    if not (isinstance(subject, str) and isinstance(body, str)):
        return {}
    return {"subject": one_line(subject, _LONGEST_LINE), "body": many_lines(body, _LONGEST_BODY)}


def _masked(mail: Mapping[str, Any]) -> dict[str, Any]:
    shown = dict(mail)
    body = shown.pop("body", None)
    for name in ("from", "to", "subject"):
        if name in shown:
            shown[name] = masked_line(shown[name])
    return {**shown, "hidden": body is not None}
