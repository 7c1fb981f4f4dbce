"""Campaigns: the mails that one lead gets from one agent, step by step, as MongoDB keeps them."""

from __future__ import annotations

from pointsman.envelope import Payload
from pointsman.store import Document


def drafted(campaign: Document, *, step: int) -> Payload:
    """The payload of `campaign.drafted` for a step (from 1) that has its text."""
    text = campaign["steps"][step - 1]
    # Left out where there are none: drafts from before know no citations.
    cited = {"citations": text["citations"]} if text.get("citations") else {}
    return {
        "lead_id": campaign["lead_id"],
        "campaign_id": campaign["_id"],
        "step": step,
        "subject": text["subject"],
        "body": text["body"],
        "kind": campaign["kind"],
        **cited,
    }
