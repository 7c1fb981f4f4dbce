"""What comes first in a prompt is the same byte for byte for every lead, so that a provider's prefix cache works."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests import sdr

OTHER = {
    **sdr.PROFILE, "lead_id": "lead-2", "first_name": "Tom", "company": "Elbe Cargo", "interest": "routes",
    "facts": [{"fact": f"Wrote: line {number}", "source": "form"} for number in range(9)],
}  # fmt: skip
FORM = {"email": "mara.lind@nordhafen.example", "first_name": "Mara", "message": "A demo, please.", "source": "web"}
CASES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "lead_ingestion": ("lead.received", FORM, {**FORM, "first_name": "Tom", "message": "Hello. " * 50}),
    "lead_scoring": ("lead.profiled", sdr.PROFILE, OTHER),
    "active_outreach": ("lead.scored", sdr.SCORED, {**sdr.SCORED, "lead_id": "lead-2", "profile": OTHER}),
    "nurture_campaign": (
        "lead.scored",
        {**sdr.SCORED, "next_step": "nurture"},
        {**sdr.SCORED, "lead_id": "lead-2", "next_step": "nurture", "profile": OTHER},
    ),
}


@pytest.mark.parametrize("name", CASES)
async def test_system_turn_and_schema_are_the_same_for_every_lead(name: str) -> None:
    event_type, *payloads = CASES[name]
    prefixes = []
    for number, payload in enumerate(payloads):
        context = sdr.context(name, lambda request: ConnectionError("only the question is of interest"))
        lead = sdr.message(event_type, payload, id=f"m-{number}", lead_id=f"lead-{number}")
        with pytest.raises(ConnectionError):
            await sdr.build(context).handle(lead)
        (request,) = sdr.requests(context)
        prefixes.append((request.system, json.dumps(request.schema), request.schema_name))
    assert prefixes[0] == prefixes[1]
