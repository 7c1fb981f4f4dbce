"""`make screenshots`: the pictures in docs/images, taken from a stack of its own with the example leads."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect

from pointsman.local import LocalStack, StackOptions
from tests.browser import chromium
from tests.e2e.console_page import page
from tests.e2e.system import ROOT, System, address
from tests.witness import eventually

IMAGES = ROOT / "docs" / "images"
UNDECIDED = {"company": "Kestrel Foods", "note": "asks for something that nobody offers"}


def main() -> None:
    """Start a stack, send leads through it, take the pictures, stop it."""
    folder = Path(tempfile.mkdtemp(prefix="pointsman-screenshots-"))
    options = StackOptions(
        data_dir=folder, free_ports=True, definitions_dir=ROOT / "agent_definitions", nurture_day_s=0.2,
        model_latency_ms=100, jars_dir=ROOT / ".pointsman" / "jars",
    )  # fmt: skip
    stack = LocalStack(options)
    system = System(stack=stack, data_dir=folder, early_address=address())
    try:
        stack.up()
        take(system)
    finally:
        system.close()
        stack.down()
        shutil.rmtree(folder, ignore_errors=True)


def take(system: System) -> None:
    """Every picture."""
    leads = json.loads((ROOT / "examples" / "leads.json").read_text())
    workflows = [system.insert(lead)[0] for lead in leads]
    system.send("nobody.knows", UNDECIDED)
    system.send("lead.activity_noted", {"lead_id": 7})
    eventually(lambda: system.are_completed(workflows), within_s=120, what="leads")
    # Two leads are one person: which of them gets the mail is chance.
    mailed = next(one for one in workflows if "email.sent" in system.witness.events(one))
    with chromium() as browser, page(browser, system) as desk:
        desk.set_viewport_size({"width": 1200, "height": 760})
        for name, path, text in (
            ("board", "/", "Checkpoint"),
            ("workflow", f"/workflows/{mailed}", "The router asked"),
            ("waiting", "/waiting", "Nobody fits"),
            ("dead-letters", "/dead-letters", "contract violation"),
            ("agents", "/agents", "Who can follow whom"),
            ("form", "/form", "Talk to us"),
        ):
            picture(desk, name, path, text)


def picture(desk: Page, name: str, path: str, text: str) -> None:
    """The page at `path` when it shows `text`, as docs/images/NAME.png."""
    desk.goto(path)
    expect(desk.get_by_text(text).first).to_be_attached()
    expect(desk.get_by_text("Loading …")).to_have_count(0)
    IMAGES.mkdir(parents=True, exist_ok=True)
    desk.screenshot(path=IMAGES / f"{name}.png")


if __name__ == "__main__":
    main()
