"""Logging in, in real Chromium: with a key, with the link of a local stack, with single sign-on; without a stack."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from pointsman.console.keys import LocalKeys, login_link
from pointsman.console.sso import SingleSignOn, SsoOptions
from pointsman.settings import Settings
from tests.browser import chromium
from tests.console_desk import SECRET, VIEWER_KEY, Office
from tests.e2e.console_page import fits, violations, window
from tests.journey_records import escalated
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, Provider, openid_provider
from tests.served import served


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with openid_provider() as running:
        yield running


@pytest.fixture
def office(provider: Provider) -> Office:
    given: dict[str, Any] = {
        "console_oidc_issuer": provider.url,
        "console_oidc_client_id": CLIENT_ID,
        "console_oidc_client_secret": CLIENT_SECRET,
        "console_oidc_operators": ["sdr-leads"],
    }
    options = SsoOptions.of(Settings(**given))
    assert options
    return Office(sso=SingleSignOn(options), owner="Ada")


def test_a_viewer_logs_in_with_a_key_sees_everything_and_can_change_nothing(browser: Browser, office: Office) -> None:
    office.kafka.write(escalated("w"))
    with served(office.app) as url, window(browser, url) as desk:
        desk.goto("/waiting")
        desk.get_by_label("Name").fill("Vic")
        desk.get_by_label("Access key").fill("wrong")
        desk.get_by_role("button", name="Log in").click()
        expect(desk.get_by_role("alert")).to_contain_text("Name and access key do not belong together.")
        expect(desk.get_by_label("Access key")).to_be_focused()
        desk.get_by_label("Access key").fill(VIEWER_KEY)
        desk.get_by_label("Access key").press("Enter")
        card = desk.get_by_role("listitem").filter(has_text="nobody fits")
        expect(card.get_by_role("button", name="Send on")).to_be_disabled()
        expect(desk.get_by_role("button", name="Stop all mails")).to_be_hidden()
        expect(desk.get_by_role("button", name="Show personal data")).to_be_hidden()
        desk.get_by_role("button", name="Log out").click()
        expect(desk.get_by_label("Access key")).to_be_visible()


def test_an_operator_logs_in_by_single_sign_on_and_somebody_without_a_role_is_told_so(
    browser: Browser, office: Office, provider: Provider
) -> None:
    with served(office.app) as url, window(browser, url) as desk:
        provider.claims = {"preferred_username": "mara.voss", "groups": ["others"]}
        desk.goto("/")
        desk.get_by_role("link", name="Log in with single sign-on").click()
        expect(desk.get_by_role("alert")).to_contain_text("you have no role here")
        provider.claims["groups"] = ["sdr-leads"]
        desk.get_by_role("link", name="Log in with single sign-on").click()
        expect(desk.get_by_role("heading", name="Board")).to_be_visible()
        expect(desk.get_by_role("button", name="Show personal data")).to_be_visible()
        expect(desk.get_by_role("button", name="Log out")).to_have_attribute("title", "mara.voss, operator")


def test_a_link_logs_in_once_clicked_and_an_old_one_says_how_to_get_another(browser: Browser, office: Office) -> None:
    keys = LocalKeys.model_validate({"owner": "Ada", "session_secret": SECRET})
    with served(office.app) as url:
        link = login_link(url, keys, office.clock())
        with window(browser, url) as desk:
            desk.goto(link)
            expect(desk.get_by_role("heading", name="Board")).to_be_visible()
            assert "#" not in desk.url
        office.clock.advance(3601)
        with window(browser, url) as desk:
            desk.goto(link)
            expect(desk.get_by_role("alert")).to_contain_text("pointsman console link")


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_login_page_fits_a_phone_and_axe_finds_nothing(browser: Browser, office: Office, dark: bool) -> None:
    with served(office.app) as url, window(browser, url, width="phone", dark=dark) as desk:
        desk.goto("/login?refused=role")
        expect(desk.get_by_role("link", name="Log in with single sign-on")).to_be_focused()
        assert violations(desk) == []
        assert fits(desk)
