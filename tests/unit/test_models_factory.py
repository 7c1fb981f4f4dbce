"""Which chat model the settings mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import SecretStr

from pointsman.errors import ConfigurationError
from pointsman.models.factory import chat_model
from pointsman.models.openai_chat import OpenAIChatModel
from pointsman.settings import Settings


@pytest.fixture(autouse=True)
def _no_running_stack(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("POINTSMAN_DATA_DIR", str(tmp_path))


def test_without_key_and_address_a_person_is_told_what_to_set() -> None:
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        chat_model(Settings())


def test_a_server_of_ones_own_needs_no_key() -> None:
    model = chat_model(Settings(openai_base_url="http://127.0.0.1:1/v1", model="x", model_timeout_s=7.0))
    assert isinstance(model, OpenAIChatModel)
    assert (model.options.base_url, model.options.model, model.options.timeout_s) == ("http://127.0.0.1:1/v1", "x", 7.0)


def test_the_key_stands_in_no_representation() -> None:
    model = chat_model(Settings(openai_api_key=SecretStr("sk-very-secret")))
    assert "very-secret" not in repr(model)
