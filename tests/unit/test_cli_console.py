"""`pointsman console account add` and `link`: a key is shown once and kept as a hash; files are their owner's alone."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pointsman.cli.main import app
from pointsman.console.hashing import is_key
from pointsman.console.keys import local_keys
from pointsman.console.links import Links
from pointsman.errors import ConfigurationError
from pointsman.local.console_keys import ensure_local_keys
from pointsman.settings import settings


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("POINTSMAN_DATA_DIR", str(tmp_path))
    settings.cache_clear()
    yield
    settings.cache_clear()


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["console", *words])


def key_in(result: Result) -> str:
    (key,) = re.findall(r"shown this once: (\S+)", result.stderr)
    return str(key)


def test_what_is_printed_is_the_value_of_the_setting_and_the_key_is_told_beside_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    result = run("account", "add", "operator", "--role", "operator")
    assert result.exit_code == 0
    monkeypatch.setenv("POINTSMAN_CONSOLE_ACCOUNTS", result.stdout)
    (account,) = settings().console_accounts
    assert (account.name, account.role) == ("operator", "operator")
    assert is_key(account.key_hash, key_in(result))
    assert key_in(result) not in result.stdout


def test_accounts_are_added_to_a_file_of_its_owners_and_get_a_new_key_only_when_told(tmp_path: Path) -> None:
    file = tmp_path / "accounts"
    first = run("account", "add", "Olga", "--role", "operator", "--file", str(file))
    run("account", "add", "Vic", "--role", "viewer", "--file", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_text()
    again = run("account", "add", "Olga", "--role", "viewer", "--file", str(file))
    assert isinstance(again.exception, ConfigurationError)
    assert "--replace" in str(again.exception)
    assert file.read_text() == before
    run("account", "add", "Olga", "--role", "viewer", "--file", str(file), "--replace")
    accounts = {one["name"]: one for one in json.loads(file.read_text())}
    assert {name: one["role"] for name, one in accounts.items()} == {"Vic": "viewer", "Olga": "viewer"}
    assert not is_key(accounts["Olga"]["key_hash"], key_in(first))


def test_a_dry_run_makes_nothing(tmp_path: Path) -> None:
    result = run("account", "add", "Olga", "--role", "operator", "--file", str(tmp_path / "accounts"), "--dry-run")
    assert (result.exit_code, "would become" in result.stdout, list(tmp_path.iterdir())) == (0, True, [])


def test_an_address_is_no_name_and_a_file_with_plain_keys_is_no_list_of_accounts(tmp_path: Path) -> None:
    address = run("account", "add", "mara@sdr.example", "--role", "viewer")
    assert isinstance(address.exception, ConfigurationError)
    file = tmp_path / "accounts"
    file.write_text(json.dumps([{"name": "Olga", "role": "operator", "key": "p" * 32}]))
    plain = run("account", "add", "Vic", "--role", "viewer", "--file", str(file))
    assert isinstance(plain.exception, ConfigurationError)
    assert "in plain" in str(plain.exception)
    assert "p" * 32 not in str(plain.exception)


def test_a_link_is_printed_for_the_owner_of_a_local_stack_only(tmp_path: Path) -> None:
    nowhere = run("link")
    assert isinstance(nowhere.exception, ConfigurationError)
    ensure_local_keys(tmp_path)
    link = run("link").stdout.strip()
    secret = local_keys(tmp_path).session_secret
    assert secret
    assert Links(secret.get_secret_value()).is_good(link.partition("#")[2], datetime.now(UTC))
