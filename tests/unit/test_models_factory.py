"""Which chat model the settings mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from pointsman.errors import ConfigurationError
from pointsman.models.access import AccessOptions
from pointsman.models.factory import chat_model
from pointsman.models.fallback import FallbackModel
from pointsman.models.measured import MeasuredModel
from pointsman.models.openai_chat import OpenAIChatModel
from pointsman.models.port import ChatModel
from pointsman.settings import Settings


@pytest.fixture(autouse=True)
def _no_running_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POINTSMAN_DATA_DIR", str(tmp_path))


def asked(model: ChatModel) -> OpenAIChatModel:
    assert isinstance(model, MeasuredModel)
    return model.model


def test_without_key_and_address_a_person_is_told_what_to_set() -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        chat_model(Settings())


def test_a_server_of_ones_own_needs_no_key() -> None:
    model = chat_model(Settings(openai_base_url="http://127.0.0.1:1/v1", model="x", model_timeout_s=7.0))
    options = asked(model).options
    assert (options.base_url, options.model, options.timeout_s) == ("http://127.0.0.1:1/v1", "x", 7.0)


def test_the_key_stands_in_no_representation() -> None:
    model = chat_model(Settings(openai_api_key=SecretStr("sk-very-secret")))
    assert "very-secret" not in repr(model)


def fallbacks(*named: str, **more: Any) -> list[tuple[str, OpenAIChatModel]]:
    settings = Settings(openai_api_key=SecretStr("first"), model="x", model_fallbacks=list(named), **more)
    model = chat_model(settings)
    assert isinstance(model, FallbackModel)
    return [(each.name, asked(each.model)) for each in model._fallbacks]


def test_fallbacks_are_models_of_the_same_server_or_of_another() -> None:
    (name, same), (other_name, other) = fallbacks("y", "@cf/z@http://127.0.0.1:2/v1", openai_base_url="http://a:1/v1")
    assert (name, same.options.base_url) == ("y", "http://a:1/v1")
    assert (other_name, other.options.base_url, other.options.model) == ("@cf/z", "http://127.0.0.1:2/v1", "@cf/z")


def test_another_server_never_gets_the_key_of_the_first() -> None:
    ((_, unset),) = fallbacks("y@http://127.0.0.1:2/v1")
    ((_, told),) = fallbacks("y@http://127.0.0.1:2/v1", model_fallback_api_key=SecretStr("second"))
    assert (unset._api_key, told._api_key) == ("not-needed", "second")


def test_breaker_and_concurrency_are_as_set() -> None:
    told = Settings(
        openai_base_url="http://a/v1", model_breaker_failures=7, model_breaker_reset_s=9, model_concurrency=3
    )
    model = chat_model(told)
    assert asked(model).options.access == AccessOptions(breaker_failures=7, breaker_reset_s=9, concurrency=3)
