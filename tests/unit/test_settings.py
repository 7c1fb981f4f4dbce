"""The environment goes before the running stack; errors name the variable and never its value."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pointsman.errors import ConfigurationError
from pointsman.settings import settings


@pytest.fixture(autouse=True)
def _fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("POINTSMAN_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("KAFKA_BOOTSTRAP_SERVERS", raising=False)
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_a_running_stack_is_found_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "stack.json").write_text(json.dumps({"kafka_bootstrap": "127.0.0.1:1234", "smtp_port": 2525}))
    assert settings().kafka_bootstrap == "127.0.0.1:1234"
    assert settings().smtp_port == 2525


def test_the_environment_goes_before_the_running_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "stack.json").write_text(json.dumps({"kafka_bootstrap": "127.0.0.1:1234"}))
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka:9092")
    assert settings().kafka_bootstrap == "kafka:9092"


def test_a_bad_value_names_its_variable_and_keeps_the_value_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_SMTP_PORT", "hunter2")
    with pytest.raises(ConfigurationError, match="POINTSMAN_SMTP_PORT") as caught:
        settings()
    assert "hunter2" not in str(caught.value)


def test_a_secret_may_stand_in_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "OPENAI_API_KEY").write_text("from-file")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.setenv("POINTSMAN_SECRETS_DIR", str(secrets))
    key = settings().openai_api_key
    assert key is not None
    assert key.get_secret_value() == "from-file"
    assert "from-file" not in repr(settings())


def test_a_login_goes_before_other_secret_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, user in (("secrets", "somebody"), ("login", "agent-a")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "pointsman_kafka_sasl_username").write_text(user)
    (tmp_path / "secrets" / "pointsman_smtp_username").write_text("mailer")
    monkeypatch.setenv("POINTSMAN_SECRETS_DIR", str(tmp_path / "secrets"))
    monkeypatch.setenv("POINTSMAN_LOGIN_DIR", str(tmp_path / "login"))
    assert (settings().kafka_sasl_username, settings().smtp_username) == ("agent-a", "mailer")


@pytest.mark.parametrize(
    "account",
    [
        {"name": "Olga", "role": "operator", "key": "p" * 32},
        {"name": "Olga", "role": "operator", "key_hash": "p" * 32},
        {"name": "Olga", "role": "operator"},
    ],
    ids=["a key", "a key as a hash", "nothing"],
)
def test_an_account_without_a_hash_is_refused_with_the_command_that_makes_one(
    account: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POINTSMAN_CONSOLE_ACCOUNTS", json.dumps([account]))
    with pytest.raises(ConfigurationError, match="pointsman console account add") as caught:
        settings()
    assert "p" * 32 not in str(caught.value)
