"""What `pointsman effects` shows of the ledger and how a person decides what it could not know."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pointsman.cli.effects import Verdict, decide, listed, status_line
from pointsman.controls import EffectsControl
from pointsman.errors import RefusedError
from pointsman.runtime.ledger import EffectLedger, EffectState, effect_id
from pointsman.testing import InMemoryStore, ManualClock

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
MAIL, OTHER = effect_id("lead-1", "c", "1"), effect_id("lead-2", "c", "1")


@pytest.fixture
async def store() -> InMemoryStore:
    made = InMemoryStore()
    ledger = EffectLedger(made, now=ManualClock(), owner="send_email.1")
    for name, state in ((MAIL, EffectState.UNKNOWN), (OTHER, EffectState.SENT)):
        effect = await ledger.begin(name, {"lead_id": f"of {name[:4]}", "message_id": "<x@sdr.example>"})
        await ledger.finish(effect, state)  # type: ignore[arg-type]
    return made


async def test_ls_lists_effects_by_state(store: InMemoryStore) -> None:
    assert len(await listed(store, None, 10)) == 2
    (row,) = await listed(store, EffectState.UNKNOWN, 10)
    assert (row["id"], row["state"], row["message_id"]) == (MAIL, "unknown", "<x@sdr.example>")


@pytest.mark.parametrize(("verdict", "state"), [(Verdict.SENT, "sent"), (Verdict.REJECTED, "rejected")])
async def test_a_person_decides_what_is_unknown_by_the_beginning_of_its_id(
    store: InMemoryStore, verdict: Verdict, state: str
) -> None:
    resolved = await decide(store, MAIL[:8], verdict, "ann")
    assert (resolved.state, resolved.facts["resolved_by"]) == (state, "ann")


async def test_what_is_known_cannot_be_decided_again(store: InMemoryStore) -> None:
    await decide(store, MAIL, Verdict.REJECTED, "ann")
    with pytest.raises(RefusedError, match="is rejected"):
        await decide(store, MAIL, Verdict.SENT, "bo")
    with pytest.raises(RefusedError, match="is sent"):
        await decide(store, OTHER, Verdict.REJECTED, "bo")


@pytest.mark.parametrize("name", ["", "abc", "$gt", "0000000000", "a b c d e f"])
async def test_an_id_that_names_no_effect_is_refused(store: InMemoryStore, name: str) -> None:
    with pytest.raises(RefusedError):
        await decide(store, name, Verdict.SENT, "ann")


async def test_a_ledger_entry_that_nobody_wrote_cannot_be_resolved() -> None:
    ledger = EffectLedger(InMemoryStore(), now=ManualClock(), owner="x")
    with pytest.raises(RefusedError, match="there is no effect"):
        await ledger.resolve(MAIL, EffectState.SENT, "ann")


def test_status_tells_who_stopped_effects_when_and_why() -> None:
    assert status_line(EffectsControl(is_allowed=True)) == "effects are allowed"
    stopped = EffectsControl(is_allowed=False, by="ann", at=AT, reason="wrong texts")
    assert status_line(stopped) == "effects are stopped since 2030-01-02 03:04:05 UTC by ann: wrong texts"
