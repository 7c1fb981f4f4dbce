"""Who may look and who may act: keys, sessions, other sites, personal data, and what is on record."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pointsman.audit import read_entry
from pointsman.console.access import Access
from pointsman.console.keys import ensure_local_keys, local_keys, login_link
from pointsman.errors import ConfigurationError
from pointsman.settings import ConsoleAccount
from pointsman.topics import AUDIT
from tests.console_desk import ACCOUNTS, OPERATOR_KEY, ORIGIN, VIEWER_KEY, Office, login


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
        answers = [client.post("/api/session", json={"key": f"guess-{number}"}).status_code for number in range(12)]
    assert answers[:10] == [401] * 10
    assert answers[10:] == [429] * 2


def test_a_session_ends_after_its_time_and_cannot_be_forged(office: Office) -> None:
    with office.client(VIEWER_KEY) as client:
        assert client.get("/api/session").json()["role"] == "viewer"
        office.clock.advance(12 * 3600 + 1)
        assert client.get("/api/session").status_code == 401
        client.cookies.set(office.desk.access.cookie_name, "WyJ4Il0.forged")
        assert client.get("/api/session").status_code == 401


def test_the_cookie_is_out_of_reach_of_scripts_and_other_sites(office: Office) -> None:
    with office.client() as client:
        cookie = client.post("/api/session", json={"key": OPERATOR_KEY}).headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie


def test_a_session_is_over_when_its_accounts_key_was_changed(office: Office) -> None:
    session = office.desk.access.login(OPERATOR_KEY)
    assert session
    cookie = office.desk.access.to_cookie(session)
    changed = [ACCOUNTS[1], ConsoleAccount.model_validate({"name": "Olga", "role": "operator", "key": "n" * 24})]
    assert office.desk.access.from_cookie(cookie) == session
    assert Access(changed, office.clock).from_cookie(cookie) is None


CHANGES = [
    ("/api/effects/switch", {"is_allowed": False, "reason": ""}),
    ("/api/effects/abc/resolve", {"verdict": "sent"}),
    ("/api/workflows/w-1/cancel", {"reason": ""}),
    ("/api/workflows/w-1/resume", {"message_id": "m", "agent": None}),
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


def test_a_local_stack_has_an_operators_key_that_only_its_owner_can_read(tmp_path: Path) -> None:
    made = ensure_local_keys(tmp_path)
    file = tmp_path / "console-keys.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert ensure_local_keys(tmp_path) == made == local_keys(tmp_path)
    key = json.loads(file.read_text())["accounts"][0]["key"]
    assert login_link("http://127.0.0.1:1", made) == f"http://127.0.0.1:1/login#{key}"
    file.write_text("{")
    with pytest.raises(ConfigurationError, match="pointsman up"):
        local_keys(tmp_path)


def test_a_login_again_gives_another_session_and_another_token(office: Office) -> None:
    with office.client() as client:
        first, second = login(client, OPERATOR_KEY), login(client, OPERATOR_KEY)
        assert first["csrf"] != second["csrf"]
        stale = client.post("/api/session/lock", headers={"X-CSRF-Token": first["csrf"], "Origin": ORIGIN})
    assert stale.status_code == 403
