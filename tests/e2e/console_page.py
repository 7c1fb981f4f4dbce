"""The console as somebody at a browser uses it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, StorageState, expect

from pointsman.console.keys import LocalKeys, local_keys, login_link
from tests.e2e.system import System

expect.set_options(timeout=30_000)

DESKTOP = {"width": 1280, "height": 860}
PHONE = {"width": 390, "height": 844}

# The first login of each stack, for all windows after it: the console lets an address log in ten times a minute.
_sessions: dict[Path, StorageState] = {}


def keys(system: System) -> LocalKeys:
    """The keys of the stack's console, as its owner reads them."""
    return local_keys(system.data_dir)


def owner(system: System) -> str:
    """The name in which its owner acts."""
    name = keys(system).owner
    assert name
    return name


@contextmanager
def page(
    browser: Browser, system: System, *, width: Literal["desktop", "phone"] = "desktop", dark: bool = False,
    login: bool = True,
) -> Iterator[Page]:  # fmt: skip
    """A fresh browser window on the stack's console."""
    session = _sessions.get(system.data_dir) if login else None
    with window(browser, system.settings["console_url"], width=width, dark=dark, session=session) as opened:
        if login:
            opened.goto("" if session else login_link("", keys(system), datetime.now(UTC)))
            expect(opened.get_by_role("heading", name="Board")).to_be_visible()
            _sessions[system.data_dir] = session or opened.context.storage_state()
        yield opened


@contextmanager
def window(
    browser: Browser, url: str, *, width: Literal["desktop", "phone"] = "desktop", dark: bool = False,
    session: StorageState | None = None,
) -> Iterator[Page]:  # fmt: skip
    """A fresh browser window; every error in its console fails the test."""
    size = PHONE if width == "phone" else DESKTOP
    context = browser.new_context(
        base_url=url, viewport=size, color_scheme="dark" if dark else "light",  # type: ignore[arg-type]
        permissions=["clipboard-read", "clipboard-write"],
        storage_state=session,
    )  # fmt: skip
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    try:
        yield opened
        assert errors == []
    finally:
        context.close()


def violations(opened: Page) -> list[str]:
    """What axe finds wrong with the page: rule and element."""
    found = Axe().run(opened, options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{one['id']}: {node['target']} {node.get('failureSummary', '')}" for one in found for node in one["nodes"]]


def fits(opened: Page) -> bool:
    """Whether nothing sticks out to the side."""
    return bool(opened.evaluate("document.documentElement.scrollWidth <= innerWidth"))
