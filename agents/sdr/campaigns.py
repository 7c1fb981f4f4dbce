"""Campaigns: the mails that one lead gets from one agent, step by step, as MongoDB keeps them."""

from __future__ import annotations

from pointsman.envelope import Payload
from pointsman.store import Document


def drafted(campaign: Document, *, step: int) -> Payload:
    """The payload of `campaign.drafted` for a step (from 1) that has its text."""
    text = campaign["steps"][step - 1]
    return {
        "lead_id": campaign["lead_id"],
        "campaign_id": campaign["_id"],
        "step": step,
        "subject": text["subject"],
        "body": text["body"],
        "kind": campaign["kind"],
    }
