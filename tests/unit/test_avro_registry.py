"""What becomes of a registry's refusals and silence."""

from __future__ import annotations

import socket

import pytest

from pointsman.avro.registry import ConfluentRegistry, raise_ours
from pointsman.errors import ConfigurationError, PointsmanError, RegistryUnavailableError
from pointsman.settings import Settings, settings


class AnswerError(Exception):
    """As the client raises it."""

    def __init__(self, status: int) -> None:
        super().__init__("secret text of the server")
        self.http_status_code = status


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (401, ConfigurationError, "POINTSMAN_SCHEMA_REGISTRY_USERNAME"),
        (403, ConfigurationError, "refuses the login"),
        (409, ConfigurationError, "pointsman agents validate"),
        (500, RegistryUnavailableError, "answered with 500"),
        (429, RegistryUnavailableError, "answered with 429"),
    ],
)
def test_each_answer_says_whether_to_try_again_or_what_to_do(
    status: int, kind: type[PointsmanError], said: str
) -> None:
    with pytest.raises(kind, match=said) as caught:
        raise_ours(AnswerError(status), "t-word.said")
    assert "secret" not in str(caught.value)


def test_a_registry_that_nobody_answers_for_may_be_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    registry = ConfluentRegistry(Settings(schema_registry_url=f"http://127.0.0.1:{port}"))
    for ask in (lambda: registry.latest("t"), lambda: registry.by_id(1), lambda: registry.takes("t", '"string"')):
        with pytest.raises(RegistryUnavailableError, match="does not answer"):
            ask()
    with pytest.raises(RegistryUnavailableError):
        registry.register("t", '"string"')


def test_a_login_in_the_address_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POINTSMAN_SCHEMA_REGISTRY_URL", "http://me:hidden@registry:8080")
    settings.cache_clear()
    try:
        with pytest.raises(ConfigurationError, match="POINTSMAN_SCHEMA_REGISTRY_URL") as caught:
            settings()
    finally:
        settings.cache_clear()
    assert "hidden" not in str(caught.value)


def test_certificates_that_are_not_there_are_named() -> None:
    with pytest.raises(ConfigurationError, match="POINTSMAN_SCHEMA_REGISTRY_"):
        ConfluentRegistry(Settings(schema_registry_url="https://registry", schema_registry_ca="/not/there.pem"))
