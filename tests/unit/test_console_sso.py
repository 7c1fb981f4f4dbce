"""Single sign-on against a provider on a real port: who comes in, as what and under which name, and who does not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from fastapi.testclient import TestClient
from joserfc.jwk import ECKey
from pydantic import SecretStr
from structlog.testing import capture_logs

from pointsman.audit import AuditEntry, read_entry
from pointsman.console.access import Access
from pointsman.console.sso import SingleSignOn, SsoOptions
from pointsman.errors import ConfigurationError
from pointsman.settings import Settings
from pointsman.topics import AUDIT
from tests.console_desk import ACCOUNTS, SECRET, Office
from tests.openid_provider import CLIENT_ID, CLIENT_SECRET, Provider, openid_provider

CALLBACK = "http://127.0.0.1/api/session/sso/callback"


def settings(issuer: str = "https://login.example", **more: Any) -> Settings:
    """The settings of a console with single sign-on."""
    given = {
        "console_oidc_issuer": issuer,
        "console_oidc_client_id": CLIENT_ID,
        "console_oidc_client_secret": SecretStr(CLIENT_SECRET),
        "console_oidc_operators": ["sdr-leads"],
        "console_oidc_viewers": ["sdr"],
    }
    return Settings(**{**given, **more})


def options(issuer: str, **more: Any) -> SsoOptions:
    found = SsoOptions.of(settings(issuer, **more))
    assert found
    return found


@pytest.fixture(scope="module")
def running() -> Iterator[Provider]:
    with openid_provider() as provider:
        yield provider


@pytest.fixture
def provider(running: Provider) -> Provider:
    """The provider, telling the truth about an operator."""
    running.claims = {"preferred_username": "mara.voss", "groups": ["all", "sdr-leads"]}
    running.user_info, running.wrong, running.issuer, running.algorithm = {}, {}, "", "ES256"
    running.is_denying, running.signs_with = False, None
    return running


@pytest.fixture
def office(provider: Provider) -> Office:
    return Office(sso=SingleSignOn(options(provider.url)))


def there(client: TestClient) -> str:
    """The way to the provider; where its page leads back to."""
    sent = client.get("/api/session/sso", follow_redirects=False)
    assert sent.status_code == 302
    return str(httpx2.get(sent.headers["location"]).headers["location"])


def log_in(client: TestClient) -> str:
    """The whole way; where it ends."""
    back = client.get(there(client), follow_redirects=False)
    assert back.status_code == 303
    return str(back.headers["location"])


def audit(office: Office) -> list[AuditEntry]:
    return [entry for entry in map(read_entry, office.kafka.of(AUDIT)) if entry]


def test_whom_the_provider_knows_comes_in_with_the_role_of_their_group(office: Office) -> None:
    with office.client() as client:
        assert client.get("/api/session/ways").json() == {"key": True, "link": False, "sso": True}
        assert log_in(client) == "/"
        about = client.get("/api/session").json()
        headers = {"X-CSRF-Token": about["csrf"]}
        assert client.post("/api/session/unlock", json={"reason": "a call"}, headers=headers).status_code == 200
        office.clock.advance(12 * 3600 + 1)
        assert client.get("/api/session").status_code == 401
    assert (about["name"], about["role"]) == ("mara.voss", "operator")
    granted, shown = audit(office)
    assert (granted.action.value, granted.by, granted.details["way"]) == ("login.granted", "mara.voss", "sso")
    assert len(granted.details["subject"]) == 16
    assert (shown.action.value, shown.by) == ("personal_data.shown", "mara.voss")


def test_a_viewer_by_group_changes_nothing(office: Office, provider: Provider) -> None:
    provider.claims["groups"] = ["sdr"]
    with office.client() as client:
        log_in(client)
        about = client.get("/api/session").json()
        answer = client.post(
            "/api/effects/switch", json={"is_allowed": False, "reason": ""}, headers={"X-CSRF-Token": about["csrf"]}
        )
    assert (about["role"], answer.status_code) == ("viewer", 403)


def test_it_asks_with_state_nonce_and_pkce_and_keeps_them_out_of_reach(office: Office, provider: Provider) -> None:
    with office.client() as client:
        sent = client.get("/api/session/sso", follow_redirects=False)
    asked = parse_qs(urlsplit(sent.headers["location"]).query)
    assert asked["redirect_uri"] == [CALLBACK]
    assert asked["code_challenge_method"] == ["S256"]
    assert min(len(asked[name][0]) for name in ("state", "nonce", "code_challenge")) >= 20
    cookie = sent.headers["set-cookie"]
    for part in ("HttpOnly", "SameSite=lax", "Path=/api/session/sso", "Max-Age=600"):
        assert part in cookie


def test_ways_to_the_provider_and_back_are_limited_like_other_logins(office: Office) -> None:
    with office.client() as client:
        there_ = [client.get("/api/session/sso", follow_redirects=False).status_code for _ in range(11)]
        back = [client.get("/api/session/sso/callback", follow_redirects=False).status_code for _ in range(11)]
    assert there_ == [302] * 10 + [429]
    assert back == [303] * 10 + [429]


HOUR = 3600
WRONG: list[tuple[str, dict[str, Any]]] = [
    ("another nonce", {"nonce": "n" * 20}),
    ("another issuer", {"iss": "http://127.0.0.1:1"}),
    ("another audience", {"aud": "another-client"}),
    ("another audience beside an authorized party", {"aud": "another-client", "azp": CLIENT_ID}),
    ("expired", {"exp": int(time.time()) - HOUR}),
    ("not yet valid", {"nbf": int(time.time()) + HOUR}),
]


@pytest.mark.parametrize("wrong", [wrong for _, wrong in WRONG], ids=[name for name, _ in WRONG])
def test_an_id_token_that_is_not_for_this_login_lets_nobody_in(
    office: Office, provider: Provider, wrong: dict[str, Any]
) -> None:
    provider.wrong = wrong
    with office.client() as client:
        assert log_in(client) == "/login?refused=token"
        assert client.get("/api/session").status_code == 401
    (refused,) = audit(office)
    assert (refused.action.value, refused.subject, refused.by) == ("login.refused", "console", "console")
    assert refused.details == {"way": "sso", "reason": "token"}


def test_an_id_token_that_somebody_else_signed_or_nobody_lets_nobody_in(office: Office, provider: Provider) -> None:
    with office.client() as client:
        provider.signs_with = ECKey.generate_key("P-256")
        assert log_in(client) == "/login?refused=token"
        provider.algorithm = "none"
        assert log_in(client) == "/login?refused=token"


def test_an_answer_without_its_beginning_in_this_browser_lets_nobody_in(office: Office) -> None:
    with office.client() as client, office.client() as other:
        back = there(client)
        assert other.get(back, follow_redirects=False).headers["location"] == "/login?refused=state"
        forged = back.replace("state=", "state=x")
        assert client.get(forged, follow_redirects=False).headers["location"] == "/login?refused=state"
        # The beginning was used up by that.
        assert client.get(back, follow_redirects=False).headers["location"] == "/login?refused=state"


def test_an_answer_that_comes_too_late_lets_nobody_in(office: Office) -> None:
    with office.client() as client:
        back = there(client)
        office.clock.advance(601)
        assert client.get(back, follow_redirects=False).headers["location"] == "/login?refused=state"


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"preferred_username": "mara.voss"}, "role"),
        ({"preferred_username": "mara.voss", "groups": ["others"]}, "role"),
        ({"preferred_username": "mara.voss", "groups": {"sdr": 1}}, "role"),
        ({"preferred_username": "mara@customer.example", "groups": ["sdr"]}, "name"),
        ({"groups": ["sdr"]}, "name"),
        ({"preferred_username": "Olga", "groups": ["sdr"]}, "name"),
    ],
    ids=["no groups", "other groups", "no list", "an address", "no name", "an account's name"],
)
def test_nobody_comes_in_without_a_role_and_a_name_for_the_record(
    office: Office, provider: Provider, claims: dict[str, Any], reason: str
) -> None:
    provider.claims = claims
    with office.client() as client:
        assert log_in(client) == f"/login?refused={reason}"
        assert client.get("/api/session").status_code == 401
    assert b"mara" not in b"".join(record.value or b"" for record in office.kafka.of(AUDIT))


def test_what_the_id_token_leaves_out_is_asked_for(office: Office, provider: Provider) -> None:
    provider.claims, provider.user_info = {}, {"preferred_username": "mara.voss", "groups": ["sdr"]}
    with office.client() as client:
        assert log_in(client) == "/"
        provider.user_info["sub"] = "somebody else"
        assert log_in(client) == "/login?refused=token"


def test_roles_may_stand_deeper_or_under_an_address(provider: Provider) -> None:
    deep = options(provider.url, console_oidc_role_claim="realm_access.roles")
    assert deep.role_of({"realm_access": {"roles": ["sdr"]}}) == "viewer"
    assert deep.role_of({"realm_access": ["sdr"]}) is None
    address = options(provider.url, console_oidc_role_claim="https://sdr.example/roles")
    assert address.role_of({"https://sdr.example/roles": "sdr-leads"}) == "operator"


def test_a_provider_that_denies_is_away_or_calls_itself_otherwise_lets_nobody_in(
    office: Office, provider: Provider
) -> None:
    provider.is_denying = True
    with office.client() as client:
        assert log_in(client) == "/login?refused=denied"
    provider.issuer = "http://127.0.0.1:2"
    for issuer in (provider.url, "http://127.0.0.1:1"):
        with Office(sso=SingleSignOn(options(issuer))).client() as client, capture_logs() as logged:
            sent = client.get("/api/session/sso", follow_redirects=False)
        assert (sent.status_code, sent.headers["location"]) == (303, "/login?refused=provider")
        assert not any(provider.url in str(line) for line in logged)


def test_a_wrong_client_secret_is_named_in_the_log_and_lets_nobody_in(provider: Provider) -> None:
    office = Office(sso=SingleSignOn(options(provider.url, console_oidc_client_secret=SecretStr("w" * 32))))
    with office.client() as client, capture_logs() as logged:
        assert log_in(client) == "/login?refused=provider"
    assert [line["reason"] for line in logged if "reason" in line] == ["invalid_grant", "provider"]


def test_a_session_ends_when_the_settings_of_single_sign_on_change(office: Office, provider: Provider) -> None:
    with office.client() as client:
        log_in(client)
        cookie = client.cookies[office.desk.access.cookie_name]
    known = office.desk.access.from_cookie(cookie)
    assert known
    assert known.name == "mara.voss"
    changed = options(provider.url, console_oidc_operators=["nobody"]).fingerprint()
    for sso in (changed, None):
        assert Access(ACCOUNTS, office.clock, secret=SECRET, sso=sso).from_cookie(cookie) is None


def test_there_is_no_way_to_a_provider_where_none_is_set() -> None:
    with Office().client() as client:
        assert client.get("/api/session/sso", follow_redirects=False).status_code == 404
        assert client.get("/api/session/sso/callback", follow_redirects=False).status_code == 404
    assert SsoOptions.of(settings("")) is None


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"console_oidc_client_id": ""}, "CLIENT_ID"),
        ({"console_oidc_client_secret": SecretStr("")}, "CLIENT_SECRET"),
        ({"console_oidc_operators": [], "console_oidc_viewers": []}, "VIEWERS"),
        ({"console_oidc_scope": "profile"}, "SCOPE"),
        ({"console_oidc_issuer": "http://login.example"}, "ISSUER"),
    ],
)
def test_what_is_missing_is_named_at_the_start(more: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named) as caught:
        SsoOptions.of(settings(**more))
    assert CLIENT_SECRET not in str(caught.value)
