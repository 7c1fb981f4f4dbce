"""Who may look and who may act: keys, sessions, other sites, personal data, and what is on record."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import SecretStr
from structlog.testing import capture_logs

from pointsman.audit import read_entry
from pointsman.console import __main__ as console
from pointsman.console.access import Access
from pointsman.console.hashing import hashed, is_key, outdated
from pointsman.console.keys import local_keys, login_link
from pointsman.errors import ConfigurationError
from pointsman.local.console_keys import ensure_local_keys
from pointsman.settings import Settings
from pointsman.topics import AUDIT
from tests.console_desk import ACCOUNTS, OPERATOR_KEY, ORIGIN, SECRET, VIEWER_KEY, Office, account, login


@pytest.fixture
def office() -> Office:
    return Office()


CLOSED = ["/api/workflows", "/api/overview", "/api/events", "/api/waiting", "/api/dead-letters", "/api/agents",
          "/api/workflows/w-1", "/api/session"]  # fmt: skip


@pytest.mark.parametrize("path", CLOSED)
def test_nothing_is_shown_without_a_login(office: Office, path: str) -> None:
    with office.client() as client:
        answer = client.get(path)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "urn:pointsman:problem:login"


def test_a_wrong_key_is_refused_and_guessing_is_slowed_down(office: Office) -> None:
    with office.client() as client:
        guesses = [{"name": "Olga", "key": f"guess-{number}"} for number in range(12)]
        answers = [client.post("/api/session", json=guess).status_code for guess in guesses]
    assert answers[:10] == [401] * 10
    assert answers[10:] == [429] * 2


def test_the_key_of_another_account_and_a_name_that_nobody_has_are_refused_alike(office: Office) -> None:
    with office.client() as client:
        others = client.post("/api/session", json={"name": "Olga", "key": VIEWER_KEY})
        nobodys = client.post("/api/session", json={"name": "Nemo", "key": VIEWER_KEY})
    assert (others.status_code, others.json()) == (nobodys.status_code, nobodys.json()) == (401, others.json())


def test_every_login_and_every_refusal_is_on_record(office: Office) -> None:
    with office.client() as client:
        client.post("/api/session", json={"name": "Olga", "key": "wrong"})
        login(client, VIEWER_KEY)
    refused, granted = (read_entry(record) for record in office.kafka.of(AUDIT))
    assert refused
    assert (refused.action.value, refused.subject, refused.by) == ("login.refused", "accounts/Olga", "console")
    assert refused.details == {"way": "key", "reason": "key"}
    assert granted
    assert (granted.action.value, granted.by) == ("login.granted", "Vic")
    assert granted.details == {"way": "key", "role": "viewer"}


def test_the_start_tells_of_settings_that_somebody_should_look_at(tmp_path: Path) -> None:
    def told(**given: Any) -> list[str]:
        with capture_logs() as logged:
            console._access(Settings(**given), local_keys(tmp_path), None)
        return [line["event"].partition(":")[0] for line in logged]

    assert told() == ["nobody may log in to the console", "sessions end with this process"]
    today = [ACCOUNTS[0].model_copy(update={"key_hash": hashed("k" * 24)})]
    assert told(console_accounts=today, console_session_secret=SECRET) == []
    assert told(console_accounts=ACCOUNTS, console_session_secret=SECRET) == [
        "hashes of keys were made with other parameters"
    ]
    ensure_local_keys(tmp_path)
    assert told() == []


def test_what_stands_in_the_name_field_is_not_recorded_unless_it_is_an_accounts_name(office: Office) -> None:
    with office.client() as client:
        client.post("/api/session", json={"name": OPERATOR_KEY, "key": "Olga"})
    (record,) = office.kafka.of(AUDIT)
    assert OPERATOR_KEY.encode() not in (record.value or b"")
    entry = read_entry(record)
    assert entry
    assert entry.subject == "console"


@pytest.mark.parametrize("known", ["up", "down"])
def test_one_can_log_in_and_look_while_logins_cannot_be_recorded(office: Office, known: Literal["up", "down"]) -> None:
    office.kafka.is_down = True
    office.view.set_kafka(known)
    with office.client() as client, capture_logs() as logged:
        assert login(client, OPERATOR_KEY)["role"] == "operator"
        assert client.get("/api/overview").status_code == 200
    assert [line["event"] for line in logged] == ["a login is not on record"]
    assert office.kafka.records == []


def test_a_hash_tells_a_key_from_others_and_when_it_is_out_of_date() -> None:
    key_hash = hashed("k" * 24)
    assert "k" * 24 not in key_hash
    assert is_key(key_hash, "k" * 24)
    assert not any(is_key(key_hash, key) for key in ("k" * 23, "", "k" * 24 + "\ud800"))
    today = ACCOUNTS[0].model_copy(update={"key_hash": key_hash})
    assert outdated([today, ACCOUNTS[1]]) == [ACCOUNTS[1]]


def test_a_session_ends_after_its_time_and_cannot_be_forged(office: Office) -> None:
    with office.client(VIEWER_KEY) as client:
        assert client.get("/api/session").json()["role"] == "viewer"
        office.clock.advance(12 * 3600 + 1)
        assert client.get("/api/session").status_code == 401
        client.cookies.set(office.desk.access.cookie_name, "WyJ4Il0.forged")
        assert client.get("/api/session").status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(office: Office) -> None:
    with office.client() as client:
        cookie = client.post("/api/session", json={"name": "Olga", "key": OPERATOR_KEY}).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


def test_a_session_is_over_when_its_accounts_key_was_changed_and_others_go_on(office: Office) -> None:
    olga, vic = (office.desk.access.login("Olga", OPERATOR_KEY), office.desk.access.login("Vic", VIEWER_KEY))
    assert olga
    assert vic
    cookies = [office.desk.access.to_cookie(session) for session in (olga, vic)]
    assert [office.desk.access.from_cookie(cookie) for cookie in cookies] == [olga, vic]
    later = Access([account("Olga", "operator", "n" * 24), ACCOUNTS[1]], office.clock, secret=SECRET)
    assert [later.from_cookie(cookie) for cookie in cookies] == [None, vic]


def test_a_session_has_the_role_that_its_account_has_today_and_none_without_the_account(office: Office) -> None:
    session = office.desk.access.login("Olga", OPERATOR_KEY)
    assert session
    cookie = office.desk.access.to_cookie(session)
    lowered = ACCOUNTS[0].model_copy(update={"role": "viewer"})
    seen = Access([lowered], office.clock, secret=SECRET).from_cookie(cookie)
    assert seen
    assert seen.role.value == "viewer"
    assert Access([ACCOUNTS[1]], office.clock, secret=SECRET).from_cookie(cookie) is None


def test_nobody_makes_a_session_from_what_the_accounts_setting_holds(office: Office) -> None:
    session = office.desk.access.login("Olga", OPERATOR_KEY)
    assert session
    forged = Access(ACCOUNTS, office.clock, secret="g" * 24).to_cookie(session)
    assert office.desk.access.from_cookie(forged) is None


CHANGES = [
    ("/api/effects/switch", {"is_allowed": False, "reason": ""}),
    ("/api/effects/abc/resolve", {"verdict": "sent"}),
    ("/api/workflows/w-1/cancel", {"reason": ""}),
    ("/api/workflows/w-1/resume", {"message_id": "m", "agent": None}),
    ("/api/workflows/w-1/correct", {"message_id": "m", "agent": None}),
    ("/api/workflows/w-1/outcome", {"effect_id": "e", "outcome": "reply"}),
    ("/api/dead-letters/redrive", {"ids": ["agent_errors/0/0"]}),
    ("/api/dead-letters/discard", {"ids": ["agent_errors/0/0"]}),
    ("/api/dead-letters/0/0/edit", {"payload": "{}"}),
    ("/api/agents/greeter/apply", {"text": "a: 1"}),
    ("/api/session/unlock", {"reason": ""}),
]


@pytest.mark.parametrize(("path", "body"), CHANGES)
def test_a_viewer_changes_nothing(office: Office, path: str, body: dict[str, object]) -> None:
    with office.client(VIEWER_KEY) as client:
        answer = client.post(path, json=body)
    assert (answer.status_code, answer.json()["type"]) == (403, "urn:pointsman:problem:role")
    assert office.kafka.records == []


@pytest.mark.parametrize(("path", "body"), CHANGES)
def test_another_site_changes_nothing_in_an_operators_name(office: Office, path: str, body: dict[str, object]) -> None:
    with office.client(OPERATOR_KEY) as client:
        elsewhere = client.post(path, json=body, headers={"Origin": "http://evil.example"})
        without_token = client.post(path, json=body, headers={"X-CSRF-Token": ""})
        same_machine = client.post(path, json=body, headers={"Sec-Fetch-Site": "same-site"})
    assert [one.status_code for one in (elsewhere, without_token, same_machine)] == [403, 403, 403]
    assert office.kafka.records == []


def test_who_shows_personal_data_and_why_is_on_record_before_it_is_shown(office: Office) -> None:
    with office.client(OPERATOR_KEY) as client:
        about = client.post("/api/session/unlock", json={"reason": "Mara asked"}).json()
        assert about["unlocked_until"] == "2030-01-02T03:19:05.000Z"
        office.clock.advance(15 * 60)
        assert client.get("/api/session").json()["unlocked_until"] is None
    entry = read_entry(office.kafka.of(AUDIT)[0])
    assert entry
    assert (entry.action.value, entry.by, entry.details["reason"]) == ("personal_data.shown", "Olga", "Mara asked")


def test_personal_data_stays_masked_when_that_cannot_be_recorded(office: Office) -> None:
    office.kafka.is_down = True
    with office.client(OPERATOR_KEY) as client:
        assert client.post("/api/session/unlock", json={"reason": ""}).status_code == 503
        assert client.get("/api/session").json()["unlocked_until"] is None


def test_personal_data_can_be_masked_again_and_the_session_ended(office: Office) -> None:
    with office.client(OPERATOR_KEY) as client:
        client.post("/api/session/unlock", json={"reason": ""})
        assert client.post("/api/session/lock").json()["unlocked_until"] is None
        assert client.delete("/api/session").status_code == 204
        assert client.get("/api/session").status_code == 401


def test_it_answers_only_to_its_own_name(office: Office) -> None:
    with office.client() as client:
        assert client.get("/", headers={"Host": "evil.example"}).status_code == 400
        assert client.get("/healthz", headers={"Host": "10.1.2.3:18000"}).status_code == 200


def test_a_local_stack_has_keys_that_only_its_owner_can_read(tmp_path: Path) -> None:
    made = ensure_local_keys(tmp_path)
    file = tmp_path / "console-keys.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert ensure_local_keys(tmp_path) == made == local_keys(tmp_path)
    assert made.has_link
    file.write_text("{")
    with pytest.raises(ConfigurationError, match="pointsman up"):
        local_keys(tmp_path)


def test_a_file_of_an_earlier_release_loses_its_plain_key_and_keeps_the_senders(tmp_path: Path) -> None:
    file = tmp_path / "console-keys.json"
    old = {"accounts": [{"name": "me", "role": "operator", "key": "p" * 32}], "leads_api_keys": {"local": "l" * 32}}
    file.write_text(json.dumps(old))
    assert not local_keys(tmp_path).has_link
    made = ensure_local_keys(tmp_path)
    assert "p" * 32 not in file.read_text()
    assert (made.has_link, made.leads_api_keys["local"].get_secret_value()) == (True, "l" * 32)


def test_the_link_logs_the_owner_in_for_an_hour_and_holds_no_key(tmp_path: Path) -> None:
    keys = ensure_local_keys(tmp_path).model_copy(update={"session_secret": SecretStr(SECRET)})
    office = Office(owner=keys.owner)
    link = login_link("http://127.0.0.1:1", keys, office.clock())
    address, _, token = link.partition("#")
    assert (address, SECRET in token) == ("http://127.0.0.1:1/login", False)
    with office.client() as client:
        about = client.post("/api/session/link", json={"token": token}).json()
        assert (about["name"], about["role"]) == (keys.owner, "operator")
        assert client.get("/api/session").status_code == 200
        office.clock.advance(timedelta(hours=1).total_seconds())
        late = client.post("/api/session/link", json={"token": token})
        assert (late.status_code, late.json()["type"]) == (401, "urn:pointsman:problem:link")
        assert client.get("/api/session").status_code == 200
    granted, refused = (read_entry(record) for record in office.kafka.of(AUDIT))
    assert granted
    assert refused
    assert (granted.details["way"], refused.details) == ("link", {"way": "link", "reason": "link"})


def test_a_link_is_good_where_there_is_a_local_stack_only(office: Office, tmp_path: Path) -> None:
    keys = ensure_local_keys(tmp_path).model_copy(update={"session_secret": SecretStr(SECRET)})
    token = login_link("", keys, office.clock()).partition("#")[2]
    with office.client() as client:
        assert client.post("/api/session/link", json={"token": token}).status_code == 401
        assert client.get("/api/session/ways").json() == {"key": True, "link": False, "sso": False}


def test_a_login_again_gives_another_session_and_another_token(office: Office) -> None:
    with office.client() as client:
        first, second = login(client, OPERATOR_KEY), login(client, OPERATOR_KEY)
        assert first["csrf"] != second["csrf"]
        stale = client.post("/api/session/lock", headers={"X-CSRF-Token": first["csrf"], "Origin": ORIGIN})
    assert stale.status_code == 403
