"""The page behind the links: RFC 8058 one-click unsubscription over HTTP.

POST unsubscribes, without login, cookie or redirect, whatever its body says. GET changes nothing, because mail scanners
open every link; it shows a page with one button. Neither tells whether anybody is on any list.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

import structlog
from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from pointsman.errors import PointsmanError
from pointsman.settings import Settings
from pointsman.store import DocumentStore
from pointsman.suppressions import SuppressionReason, suppress
from pointsman.unsubscribe import PATH, UnsubscribeLinks, unsubscribe_links

_HEADERS: Final = {
    "Content-Security-Policy": ("default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}
_PAGE: Final = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
    '<meta name="viewport" content="width=device-width, initial-scale=1"></head>'
    "<body><main><h1>{title}</h1><p>{text}</p>{more}</main></body></html>"
)
_BUTTON: Final = '<form method="post"><button type="submit">Unsubscribe</button></form>'

_log = structlog.get_logger(__name__)

Links = Callable[[], Awaitable[UnsubscribeLinks]]
Unsubscribe = Callable[[str], Awaitable[None]]


def unsubscribe_router(links: Links, unsubscribe: Unsubscribe) -> APIRouter:
    """The routes `GET` and `POST /u/{token}`.

    Args:
        links: reads tokens; asked for at each request, so that the server starts without the store.
        unsubscribe: puts the person called so on the suppression list; idempotent.
    """
    router = APIRouter()

    @router.get(f"{PATH}/{{token}}", response_class=HTMLResponse, include_in_schema=False)
    async def ask(token: str) -> HTMLResponse:
        try:
            known = (await links()).key_of(token)
        except PointsmanError as error:
            return _unavailable(error)
        if known is None:
            return _unknown()
        return _page("Unsubscribe", "Press the button to get no more e-mails from us.", more=_BUTTON)

    @router.post(f"{PATH}/{{token}}", response_class=HTMLResponse, include_in_schema=False)
    async def unsubscribe_now(token: str) -> HTMLResponse:
        try:
            key = (await links()).key_of(token)
            if key is None:
                return _unknown()
            await unsubscribe(key)
        except PointsmanError as error:
            return _unavailable(error)
        return _page("You are unsubscribed", "You get no more e-mails from us.")

    return router


def stored_unsubscriptions(store: DocumentStore, settings: Settings) -> APIRouter:
    """The routes over a store: what is pressed stands there before the answer is given."""
    made: list[UnsubscribeLinks] = []

    async def links() -> UnsubscribeLinks:
        if not made:
            made.append(await unsubscribe_links(store, settings))
        return made[0]

    async def unsubscribe(key: str) -> None:
        await suppress(store, key, reason=SuppressionReason.UNSUBSCRIBED, now=datetime.now(UTC))

    return unsubscribe_router(links, unsubscribe)


def _unknown() -> HTMLResponse:
    text = (
        "This link is not complete. Copy it from the e-mail as a whole, or answer the e-mail with the word unsubscribe."
    )
    return _page("The link does not work", text, status=404)


def _unavailable(error: PointsmanError) -> HTMLResponse:
    # Mail providers try again after a 503; a person can too.
    _log.error("an unsubscription could not be taken", reason=type(error).__name__)
    answer = _page("Please try again in a minute", "We could not note your wish just now.", status=503)
    answer.headers["Retry-After"] = "30"
    return answer


def _page(title: str, text: str, *, more: str = "", status: int = 200) -> HTMLResponse:
    return HTMLResponse(_PAGE.format(title=title, text=text, more=more), status_code=status, headers=_HEADERS)
