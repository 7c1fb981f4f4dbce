"""The effect ledger: one document per effect outside Kafka, so that it is done at most once.

    reserved ──▶ sending ──▶ sent | rejected
        │           └──────▶ unknown       (its process died, or the answer was lost)
        └──▶ suppressed     unknown ──▶ sent | rejected   (a person says so)

`sending` is on disk before the effect begins. Whoever finds it there later and its owner gone makes it `unknown`, and
nothing ever leads from `unknown` back to `sending`: a person or the other side's own records must say what happened.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, Literal

from pointsman.envelope import to_rfc3339
from pointsman.errors import EffectUnavailableError, RefusedError
from pointsman.store import Document, DocumentStore

EFFECTS: Final = "effects"

# One per process life: the same owner with another life means that the earlier process is dead.
_LIFE: Final = uuid.uuid4().hex


class EffectState(StrEnum):
    """Where an effect stands."""

    RESERVED = "reserved"
    SENDING = "sending"
    SENT = "sent"
    REJECTED = "rejected"
    SUPPRESSED = "suppressed"
    UNKNOWN = "unknown"


FINAL: Final = frozenset({EffectState.SENT, EffectState.REJECTED, EffectState.SUPPRESSED, EffectState.UNKNOWN})


@dataclass(frozen=True, kw_only=True)
class Effect:
    """One effect, as the ledger has it.

    Attributes:
        id: derived from its business key; stable, so also good for a Message-ID.
        state: where it stands.
        may_send: True for the one caller that is to carry it out now, and then to `finish` it.
        attempt: how often carrying it out was begun, from 1; 0 before.
        token: proves the right to finish it.
        facts: what callers keep beside it, e.g. the message id or the reason.
    """

    id: str
    state: EffectState
    may_send: bool = False
    attempt: int = 0
    token: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


def effect_id(*business_key: str) -> str:
    """The ledger id of what `business_key` names, e.g. lead, campaign and step; hex SHA-256."""
    return hashlib.sha256("\x1f".join(business_key).encode(errors="surrogatepass")).hexdigest()


class EffectLedger:
    """Decides who may carry an effect out, once.

    Args:
        store: where the ledger is kept.
        now: the clock, UTC.
        owner: who runs this, unique among living processes, e.g. `send_email.1`.
        lease_s: seconds after which a `sending` of another owner counts as crashed; longer than any attempt lasts.
        life: differs from process to process of one owner.
    """

    def __init__(
        self,
        store: DocumentStore,
        *,
        now: Callable[[], datetime],
        owner: str,
        lease_s: float = 30.0,
        life: str = _LIFE,
    ) -> None:
        self._store = store
        self._now = now
        self._owner = owner
        self._lease_s = lease_s
        self._life = life
        # Tokens whose write to the store got no answer: it may be there, but the effect was surely not begun.
        self._unsure: set[str] = set()

    async def begin(self, effect: str, facts: Mapping[str, Any] | None = None) -> Effect:
        """Ask to carry out `effect` (see `effect_id`); go ahead only when the answer's `may_send` is true.

        Args:
            effect: its ledger id.
            facts: kept beside the effect from its first `begin`; plain values by name.

        Raises:
            EffectUnavailableError: another living process is carrying it out; ask again.
            StoreUnavailableError: the store did not answer; nothing was begun that may be sent.
        """
        document = await self._reserve(effect, facts or {})
        if document["state"] == EffectState.RESERVED:
            return await self._start(document)
        if document["state"] == EffectState.SENDING:
            return await self._meet(document)
        return _effect(document)

    async def finish(
        self,
        effect: Effect,
        state: Literal[EffectState.SENT, EffectState.REJECTED, EffectState.UNKNOWN],
        facts: Mapping[str, Any] | None = None,
    ) -> Effect:
        """Note how carrying `effect` out ended.

        The owner's word also mends an `unknown` that somebody noted meanwhile because the owner seemed dead.
        """
        for expected in (EffectState.SENDING, EffectState.UNKNOWN):
            changes = {"state": state.value, "finished_at": self._now(), **_dotted(facts)}
            document = await self._change(effect, expected, changes)
            if document:
                return _effect(document)
        return await self._stands(effect.id)

    async def release(self, effect: Effect) -> Effect:
        """Give back an effect that has surely not happened (refused before it began), so that it may be begun again."""
        changes = {"state": EffectState.RESERVED.value, "token": ""}
        document = await self._change(effect, EffectState.SENDING, changes)
        return _effect(document) if document else await self._stands(effect.id)

    async def suppress(self, effect: str, facts: Mapping[str, Any] | None = None) -> Effect:
        """Note that `effect` must not happen, unless it was begun before."""
        await self._reserve(effect, {})
        changes = {"state": EffectState.SUPPRESSED.value, "finished_at": self._now(), **_dotted(facts)}
        expected = {"state": EffectState.RESERVED.value}
        document = await self._store.update_if(EFFECTS, effect, expected, changes)
        return _effect(document) if document else await self._stands(effect)

    async def resolve(self, effect: str, state: Literal[EffectState.SENT, EffectState.REJECTED], by: str) -> Effect:
        """Note what a person found out about an effect whose outcome is `unknown`.

        Raises:
            RefusedError: there is no such effect, or its outcome is known by now.
        """
        now = self._now()
        facts = {"resolved_by": by, "resolved_at": to_rfc3339(now)}
        if state == EffectState.SENT:
            facts["sent_at"] = to_rfc3339(now)
        changes = {"state": state.value, "finished_at": now, **_dotted(facts)}
        document = await self._store.update_if(EFFECTS, effect, {"state": EffectState.UNKNOWN.value}, changes)
        if document:
            return _effect(document)
        found = await self._store.get(EFFECTS, effect)
        what = f"effect {effect[:80]} is {found['state']}" if found else f"there is no effect {effect[:80]}"
        raise RefusedError(f"{what}; only an effect in state unknown can be resolved")

    async def _reserve(self, effect: str, facts: Mapping[str, Any]) -> Document:
        fresh = {"_id": effect, "state": EffectState.RESERVED.value, "attempt": 0, "token": "", "facts": dict(facts)}
        return await self._store.insert_once(EFFECTS, {**fresh, "reserved_at": self._now()})

    async def _start(self, document: Document) -> Effect:
        token = uuid.uuid4().hex
        changes = {
            "state": EffectState.SENDING.value,
            "token": token,
            "owner": self._owner,
            "life": self._life,
            "lease_until": self._now() + timedelta(seconds=self._lease_s),
            "attempt": document["attempt"] + 1,
        }
        expected = {"state": document["state"], "attempt": document["attempt"], "token": document["token"]}
        self._unsure.add(token)
        started = await self._store.update_if(EFFECTS, document["_id"], expected, changes)
        self._unsure -= {token, document["token"]}
        if started is None:
            return await self._meet(await self._document(document["_id"]))
        return _effect(started, may_send=True)

    async def _meet(self, document: Document) -> Effect:
        """What to do about an effect that somebody else has begun."""
        if document["state"] == EffectState.RESERVED:
            raise EffectUnavailableError("another process has just given this effect back", retry_after_s=0.0)
        if document["state"] != EffectState.SENDING:
            return _effect(document)
        if document["token"] in self._unsure:
            return await self._start(document)
        left_s = (document["lease_until"] - self._now()).total_seconds()
        died = document["owner"] == self._owner and document["life"] != self._life
        if left_s > 0 and not died:
            raise EffectUnavailableError("another process is carrying this effect out", retry_after_s=left_s)
        expected = {"state": EffectState.SENDING.value, "token": document["token"]}
        changes = {"state": EffectState.UNKNOWN.value, "finished_at": self._now()}
        unknown = await self._store.update_if(EFFECTS, document["_id"], expected, changes)
        return _effect(unknown) if unknown else await self._stands(document["_id"])

    async def _change(self, effect: Effect, expected: EffectState, changes: Mapping[str, Any]) -> Document | None:
        criteria = {"state": expected.value, "token": effect.token}
        return await self._store.update_if(EFFECTS, effect.id, criteria, changes)

    async def _stands(self, effect: str) -> Effect:
        return _effect(await self._document(effect))

    async def _document(self, effect: str) -> Document:
        document = await self._store.get(EFFECTS, effect)
        if document is None:
            raise EffectUnavailableError("the ledger entry of this effect was removed while it was in use")
        return document


def _effect(document: Document, *, may_send: bool = False) -> Effect:
    return Effect(
        id=document["_id"],
        state=EffectState(document["state"]),
        may_send=may_send,
        attempt=document["attempt"],
        token=document["token"],
        facts=document["facts"],
    )


def _dotted(facts: Mapping[str, Any] | None) -> dict[str, Any]:
    return {f"facts.{name}": value for name, value in (facts or {}).items()}
