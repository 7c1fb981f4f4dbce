"""Dead letters: by reason, one in full, put back, mended, set aside."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Body
from fastapi.concurrency import run_in_threadpool

from pointsman.console.desk import Desk
from pointsman.console.problems import ProblemError
from pointsman.console.sessions import Operator, TheDesk, Viewer
from pointsman.console.view import key_of
from pointsman.deadletter_queue import DeadLetter, Selection, grouped, letter_id
from pointsman.deadletter_work import Done
from pointsman.deadletters import PREFIX
from pointsman.envelope import decode_payload, encode_payload, payload_of, to_rfc3339
from pointsman.errors import InvalidEnvelopeError
from pointsman.masking import masked, masked_line

router = APIRouter(prefix="/api/dead-letters", include_in_schema=False)

_MOST_SHOWN: Final = 500
_MOST_AT_ONCE: Final = 1_000
_PER_S: Final = 50
_OPEN_HEADERS: Final = ("ce_", "content-type", "traceparent")

Ids = Annotated[list[str], Body(embed=True, min_length=1, max_length=_MOST_AT_ONCE)]


@router.get("")
async def browse(desk: TheDesk, _: Viewer, handled: bool = False) -> dict[str, Any]:
    """All that are open (or all), by stage and reason, and each in short, the latest first."""
    found = await run_in_threadpool(lambda: list(desk.find_letters(Selection(with_handled=handled))))
    latest = sorted(found, key=lambda letter: letter.failed_at, reverse=True)
    groups = [
        {"stage": one.stage, "reason": one.reason, "count": one.count, "first_at": to_rfc3339(one.first_at),
         "last_at": to_rfc3339(one.last_at)}
        for one in grouped(found)
    ]  # fmt: skip
    return {
        "groups": groups,
        "letters": [_short(letter) for letter in latest[:_MOST_SHOWN]],
        "left_out": max(0, len(latest) - _MOST_SHOWN),
    }


@router.get("/{partition}/{offset}")
async def show(partition: int, offset: int, desk: TheDesk, session: Viewer) -> dict[str, Any]:
    """One in full; what people wrote only while personal data is shown."""
    letter = (await _named(desk, [f"agent_errors/{partition}/{offset}"]))[0]
    unmask = session.is_unlocked(desk.now())
    return {
        **_short(letter),
        "origin": "/".join(letter.why(name) for name in ("topic", "partition", "offset")),
        "attempts": letter.why("attempts"),
        "catalog": letter.why("catalog"),
        "headers": _headers(letter, unmask=unmask),
        **_payload(letter, unmask=unmask),
        "is_unlocked": unmask,
    }


@router.post("/redrive", status_code=202)
async def redrive(ids: Ids, desk: TheDesk, session: Operator) -> dict[str, Any]:
    """Send them back to where they were read."""
    letters = await _named(desk, ids)
    work = desk.letter_work(session)
    return _told(await run_in_threadpool(lambda: list(work.redrive(letters, _PER_S))))


@router.post("/discard", status_code=202)
async def discard(
    desk: TheDesk,
    session: Operator,
    ids: Ids,
    note: Annotated[str, Body(max_length=300)] = "",
) -> dict[str, Any]:
    """Note that nothing more is to be done about them."""
    letters = await _named(desk, ids)
    return _told(await run_in_threadpool(desk.letter_work(session).discard, letters, note))


@router.post("/{partition}/{offset}/edit", status_code=202)
async def edit(
    partition: int,
    offset: int,
    desk: TheDesk,
    session: Operator,
    payload: Annotated[str, Body(embed=True, max_length=1_100_000)],
) -> dict[str, Any]:
    """Send one back with another payload, a JSON object."""
    if not session.is_unlocked(desk.now()):
        raise ProblemError(403, "Show personal data first: you cannot mend what you do not see.", code="locked")
    try:
        value = encode_payload(decode_payload(payload.encode(errors="surrogatepass")))
    except InvalidEnvelopeError as error:
        errors = [{"pointer": "/payload", "detail": error.detail}]
        raise ProblemError(422, f"Nothing was sent: {error.detail}.", code="payload", errors=errors) from None
    letter = (await _named(desk, [f"agent_errors/{partition}/{offset}"]))[0]
    return _told([await run_in_threadpool(desk.letter_work(session).edit, letter, value)])


async def _named(desk: Desk, ids: list[str]) -> list[DeadLetter]:
    wanted = frozenset(letter_id(one) for one in ids)
    selection = Selection(ids=wanted, with_handled=True)
    found = await run_in_threadpool(lambda: {one.id: one for one in desk.find_letters(selection)})
    if missing := wanted - set(found):
        raise ProblemError(404, f"There is no dead letter {min(missing)}.", code="dead_letter")
    return [found[one] for one in sorted(wanted)]


def _short(letter: DeadLetter) -> dict[str, Any]:
    handled = letter.handled
    return {
        "id": letter.id,
        "stage": masked_line(letter.stage),
        "reason": masked_line(letter.reason),
        "detail": masked_line(letter.why("message")),
        "event_type": masked_line(letter.header("ce_type")),
        "workflow": key_of(letter.workflow_id) if letter.workflow_id else None,
        "failed_at": to_rfc3339(letter.failed_at),
        "redrives": letter.redrives,
        "handled": {"by": handled.by, "action": handled.action.value, "at": to_rfc3339(handled.at)}
        if handled
        else None,
    }


def _headers(letter: DeadLetter, *, unmask: bool) -> dict[str, str]:
    shown = {}
    for name, octets in sorted(letter.record.headers.items()):
        if not name.startswith(PREFIX):
            text = octets.decode(errors="backslashreplace")
            known = name.startswith(_OPEN_HEADERS)
            shown[masked_line(name)] = text if unmask else masked_line(text) if known else f"[{len(octets)} bytes]"
    return shown


def _payload(letter: DeadLetter, *, unmask: bool) -> dict[str, Any]:
    value = letter.record.value
    try:
        payload: Any = payload_of(letter.record)
    except InvalidEnvelopeError:
        text = (value or b"").decode(errors="backslashreplace") if unmask else None
        return {"payload": None, "text": text, "size": len(value or b"")}
    return {"payload": payload if unmask else masked(payload), "text": None, "size": len(value or b"")}


def _told(results: list[Done]) -> dict[str, Any]:
    told = [{"id": one.id, "is_done": one.is_done, "text": one.text} for one in results]
    return {"results": told, "done": sum(one.is_done for one in results)}
