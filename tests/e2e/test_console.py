"""The console in real Chromium on the running stack: each thing that somebody does with it."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser import chromium
from tests.e2e.console_page import fits, keys, owner, page, violations
from tests.e2e.system import System, address, hot_lead
from tests.witness import eventually

PAGES = ("/", "/waiting", "/dead-letters", "/agents", "/agents/lead_scoring")
OPEN_PAGES = ("/form", "/api/docs")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def desk(browser: Browser, system: System) -> Iterator[Page]:
    with page(browser, system) as opened:
        yield opened


def unlock(desk: Page) -> None:
    desk.get_by_role("button", name="Show personal data").click()
    desk.get_by_label("Reason, for the record").fill("a test")
    desk.get_by_role("dialog").get_by_role("button", name="Show").click()
    expect(desk.get_by_role("button", name="Hide personal data")).to_be_visible()


def audit(system: System, action: str) -> list[dict[str, Any]]:
    found = [seen.json() for seen in system.witness.read("agent_audit")]
    return [entry for entry in found if entry["action"] == action]


def test_a_lead_fills_in_the_form_and_is_followed_to_the_mail_that_it_got(
    browser: Browser, system: System, tmp_path: Path
) -> None:
    where = system.address()
    company = f"Nordhafen {where[5:11]}"
    with page(browser, system) as desk, page(browser, system, login=False) as form:
        form.goto("/form")
        form.get_by_role("button", name="Send").click()
        expect(form.get_by_text("Please give an address that we can answer to")).to_be_visible()
        expect(form.get_by_label("Work e-mail")).to_be_focused()
        form.get_by_label("Work e-mail").fill(where)
        form.get_by_label("First name").fill("Mara")
        form.get_by_label("Company").fill(company)
        form.get_by_label("Job title").fill("Head of Operations")
        form.get_by_label("What can we help with?").fill(hot_lead()["message"])
        form.get_by_role("button", name="Send").click()
        expect(form.get_by_text("We may only write to you if you agree.")).to_be_visible()
        form.get_by_label("You may write to me").check()
        form.get_by_role("button", name="Send").click()
        expect(form.get_by_role("heading", name="Thank you")).to_be_focused()

        row = desk.get_by_role("link", name=company)
        expect(row).to_contain_text("done")
        row.click()
        expect(desk.get_by_role("heading", name=company)).to_be_focused()
        expect(desk.get_by_text("lead.received")).to_be_visible()
        expect(desk.get_by_text("The router asked").first).to_be_visible()
        desk.get_by_text("Everything about this step").nth(1).click()
        expect(desk.get_by_text(re.compile(r"agent_messages-\d+@\d+")).first).to_be_visible()
        assert where not in desk.content()
        with desk.expect_download() as download:
            desk.get_by_role("link", name="Download the case").click()
        case = tmp_path / download.value.suggested_filename
        download.value.save_as(case)
        assert where not in case.read_text()
        system.cli("case", "run", str(case))
        unlock(desk)
        mails = desk.get_by_role("region", name="Mails")
        expect(mails.get_by_text("Hello Mara")).to_be_visible()
        expect(mails.get_by_text(where)).to_be_visible()
    stored = list(system.database.leads.find({"email": where}))
    assert [one["source"] for one in stored] == ["form"]
    assert [mail["To"] for mail in system.mails_to(where)] == [where]
    assert audit(system, "personal_data.shown")[-1]["details"]["reason"] == "a test"


def test_what_became_of_a_mail_is_said_on_the_page(desk: Page, system: System) -> None:
    workflow, where = system.insert({**hot_lead(), "company": "Answers Ltd"})
    eventually(lambda: system.mails_to(where), within_s=60, what="the mail")
    eventually(lambda: system.effects(workflow) == ["sent"], what="the ledger's word")
    desk.goto(f"/workflows/{workflow}")
    mails = desk.get_by_role("region", name="Mails")
    mails.get_by_role("button", name="There is a meeting").click()
    expect(desk.get_by_text("Noted: the router can learn from it.")).to_be_visible()
    noted = eventually(
        lambda: [one for one in audit(system, "mail.outcome") if one["by"] == owner(system)], what="the audit record"
    )
    assert noted[-1]["details"] == {"outcome": "meeting"}

    def is_shown() -> bool:
        desk.reload()
        expect(mails.get_by_role("button", name="They replied")).to_be_visible()
        return mails.get_by_text("meeting", exact=True).count() == 1

    eventually(is_shown, what="what was said, beside the mail")


def test_a_lead_posted_twice_with_one_key_is_one_workflow(system: System) -> None:
    body = json.dumps({**hot_lead(), "email": system.address(), "consent": True, "source": "shop"}).encode()
    headers = {"Content-Type": "application/json", "Idempotency-Key": f"order-{address()}"}
    headers["X-API-Key"] = keys(system).leads_api_keys["local"].get_secret_value()
    url = f"{system.settings['console_url']}/api/leads"

    def post() -> tuple[int, str]:
        request = urllib.request.Request(url, data=body, headers=headers)  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 - loopback
            return answer.status, json.loads(answer.read())["id"]

    (created, workflow), (repeated, same) = post(), post()
    assert (created, repeated, workflow) == (201, 200, same)
    eventually(lambda: "completed" in system.outcomes(workflow), within_s=60, what="the mail of a posted lead")


def test_the_board_filters_searches_and_goes_on_when_the_server_was_away(browser: Browser, system: System) -> None:
    with page(browser, system) as desk:
        workflow, _ = system.insert({**hot_lead(), "company": "Filter & Sons"})
        expect(desk.get_by_role("link", name="Filter & Sons").first).to_contain_text("done")
        desk.get_by_label("Search workflows").fill(workflow)
        expect(desk.get_by_role("list", name="Workflows").get_by_role("listitem")).to_have_count(1)
        desk.get_by_label("Search workflows").fill("no such company")
        expect(desk.get_by_text("Nothing here right now")).to_be_visible()
        desk.get_by_label("Search workflows").fill("")
        system.stack.restart("console")
        system.insert({**hot_lead(), "company": "After the restart"})
        expect(desk.get_by_role("link", name="After the restart").first).to_contain_text("done", timeout=60_000)
        expect(desk.get_by_role("button", name="Send email")).to_contain_text("half within")


def test_what_the_router_leaves_to_a_person_is_decided_on_the_page(desk: Page, system: System) -> None:
    note = {"lead_id": "someone", "text": "The coffee machine is broken again."}
    workflow = system.send("lead.activity_noted", note)
    desk.get_by_role("navigation").get_by_role("link", name="For you").click()
    card = desk.get_by_role("listitem").filter(has=desk.locator(f'a[href="/workflows/{workflow}"]'))
    expect(card).to_contain_text("Nobody fits")
    card.get_by_label("Send on to").select_option("nurture_campaign")
    card.get_by_role("button", name="Send on").click()
    person = owner(system)
    sent = eventually(
        lambda: [seen for seen in system.messages(workflow) if seen.header("ce_source") == f"/operators/{person}"],
        what="the decision as a message",
    )
    assert sent[0].header("ce_targetagent") == "nurture_campaign"
    expect(card).to_have_count(0)
    assert [one["by"] for one in audit(system, "workflow.resumed") if one["subject"] == workflow] == [person]


def test_a_mail_that_needs_approval_is_approved_on_the_page(desk: Page, system: System) -> None:
    with system.edited_definitions() as definitions:
        mail = definitions / "send_email.yaml"
        mail.write_text(mail.read_text().replace("\naccepts:", "\napproval: required\naccepts:", 1))
        system.cli("agents", "apply", str(definitions))
        system.wait_for_router()
        workflow, where = system.insert({**hot_lead(), "company": "Careful Ltd"})
        desk.goto("/waiting")
        card = desk.get_by_role("listitem").filter(has_text="Careful Ltd")
        expect(card).to_contain_text("Needs your approval")
        assert (system.mails_to(where), "routed" in system.outcomes(workflow)) == ([], True)
        expect(card.get_by_label("Approve for")).to_have_value("send_email")
        card.get_by_role("button", name="Approve").click()
        expect(card).to_have_count(0)
        eventually(lambda: len(system.mails_to(where)) == 1, within_s=30, what="the approved mail")
    assert [one["by"] for one in audit(system, "workflow.resumed") if one["subject"] == workflow] == [owner(system)]


def test_a_workflow_is_ended_on_the_page(desk: Page, system: System) -> None:
    workflow = system.send("nobody.knows", {"company": "Ended Ltd"})
    desk.goto("/waiting")
    card = desk.get_by_role("listitem").filter(has_text="Ended Ltd")
    card.get_by_role("button", name="End the workflow").click()
    desk.get_by_label("Reason, for the record").fill("they asked to stop")
    desk.get_by_label("Reason, for the record").press("Enter")
    expect(card).to_have_count(0)
    eventually(lambda: "workflow.cancelled" in system.witness.events(workflow), what="the cancellation")
    desk.goto(f"/workflows/{workflow}")
    expect(desk.get_by_text("ended", exact=True)).to_be_visible()


def test_a_mail_whose_fate_is_unknown_is_decided_on_the_page(desk: Page, system: System) -> None:
    effect = "e0" * 32
    facts = {"message": "m-unknown", "message_id": f"<{effect}@sdr.example>", "lead_id": "w-unknown"}
    system.database.effects.insert_one({
        "_id": effect, "state": "unknown", "attempt": 1, "token": "t", "facts": facts, "reserved_at": datetime.now(UTC),
    })  # fmt: skip
    desk.goto("/waiting")
    card = desk.get_by_role("listitem").filter(has_text=effect)
    card.get_by_role("button", name="It was not sent").click()
    expect(card).to_have_count(0)
    assert system.database.effects.find_one({"_id": effect})["state"] == "rejected"


def test_a_dead_letter_is_mended_and_sent_again_on_the_page(desk: Page, system: System) -> None:
    workflow = system.send("lead.activity_noted", {"lead_id": 7})
    eventually(lambda: system.outcomes(workflow) == ["rejected"], what="a dead letter")
    desk.goto("/dead-letters")
    unlock(desk)
    letters = desk.get_by_role("listitem").filter(has_text="contract violation at router · lead.activity_noted")
    expect(letters).to_have_count(1)
    letter = letters.last  # the newest is the first
    letter.locator("summary").first.click()
    editor = letter.get_by_label("Payload")
    expect(editor).to_have_value('{\n  "lead_id": 7\n}')
    system.send("lead.activity_noted", {"lead_id": 8})
    expect(letters).to_have_count(2)
    editor.fill('{"lead_id": ')
    letter.get_by_role("button", name="Send mended").click()
    expect(letter.get_by_role("alert")).to_contain_text("Nothing was sent")
    lead, _ = system.insert(hot_lead())
    mended = {"lead_id": lead, "kind": "note", "note": "asked for a demo"}
    editor.fill(json.dumps(mended))
    letter.get_by_role("button", name="Send mended").click()
    expect(desk.get_by_text("1 letter done.")).to_be_visible()
    again = eventually(
        lambda: [seen for seen in system.messages(workflow) if seen.header("ce_attempt") == "1"], what="the mended one"
    )
    assert again[0].json() == mended


def test_all_mails_are_stopped_and_started_on_the_page(desk: Page, system: System) -> None:
    desk.get_by_role("button", name="Stop all mails").click()
    desk.get_by_label("Reason, for the record").fill("wrong texts")
    desk.get_by_role("dialog").get_by_role("button", name="Stop all mails").click()
    expect(desk.get_by_text("All mails are stopped by")).to_be_visible()
    try:
        assert "wrong texts" in system.cli("effects", "status").stdout
        assert violations(desk) == []
    finally:
        desk.get_by_role("button", name="Start mails again").click()
        desk.get_by_role("dialog").get_by_role("button", name="Start mails").click()
    expect(desk.get_by_text("All mails are stopped by")).to_have_count(0)
    eventually(lambda: "allowed" in system.cli("effects", "status").stdout, what="mails again")


def test_an_agent_is_changed_on_the_page_and_what_is_wrong_is_refused(desk: Page, system: System) -> None:
    with system.edited_definitions():
        before = system.catalog_sequence()
        desk.get_by_role("navigation").get_by_role("link", name="Agents").click()
        expect(desk.get_by_role("img", name="Who can follow whom")).to_be_visible()
        desk.get_by_role("heading", name="nurture campaign").get_by_role("link").click()
        editor = desk.get_by_label("Definition as YAML")
        text = editor.input_value()
        editor.fill(re.sub(r"version: [\d.]+", "version: one", text))
        desk.get_by_role("button", name="Check").click()
        expect(desk.get_by_role("button", name="line 2, column 10")).to_be_visible()
        editor.fill(text.replace("Keeps in touch", "Stays in touch"))
        desk.get_by_role("button", name="Apply").click()
        expect(desk.get_by_text("In force: catalog")).to_be_visible()
        history = desk.get_by_role("region", name="Who changed it")
        expect(history).to_contain_text(owner(system))
        history.get_by_text("1 field changed").first.click()
        expect(history).to_contain_text("Stays in touch")
        assert system.catalog_sequence() == before + 1
        system.wait_for_definition("nurture_campaign")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", ["desktop", "phone"])
def test_every_page_is_accessible_and_fits(browser: Browser, system: System, width: Any, dark: bool) -> None:
    workflow, _ = system.insert(hot_lead())
    eventually(lambda: "completed" in system.outcomes(workflow), within_s=60, what="a finished workflow")
    with page(browser, system, width=width, dark=dark) as desk:
        for path in (*PAGES, f"/workflows/{workflow}", *OPEN_PAGES):
            desk.goto(path)
            expect(desk.get_by_role("heading", level=1)).to_be_visible()
            expect(desk.get_by_text("Loading …")).to_have_count(0)
            assert (path, violations(desk)) == (path, [])
            assert (path, fits(desk)) == (path, True)


def test_the_board_can_be_used_with_the_keyboard_alone(desk: Page, system: System) -> None:
    workflow, _ = system.insert({**hot_lead(), "company": "Keyboard Ltd"})
    expect(desk.get_by_role("link", name="Keyboard Ltd")).to_contain_text("done")
    desk.reload()
    desk.keyboard.press("Tab")
    expect(desk.get_by_role("link", name="Skip to the content")).to_be_focused()
    expect(desk.get_by_role("link", name="Keyboard Ltd")).to_be_visible()
    desk.get_by_label("Search workflows").focus()
    desk.keyboard.type("Keyboard Ltd")
    desk.keyboard.press("Tab")
    desk.keyboard.press("Tab")
    expect(desk.get_by_role("link", name="Keyboard Ltd")).to_be_focused()
    desk.keyboard.press("Enter")
    expect(desk.get_by_role("heading", name="Keyboard Ltd")).to_be_focused()
    assert desk.url.endswith(workflow)
