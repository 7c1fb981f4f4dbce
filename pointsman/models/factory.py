"""The chat model that the settings name, with those that stand in for it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from pydantic import SecretStr

from pointsman.errors import ConfigurationError
from pointsman.models.access import AccessOptions
from pointsman.models.fallback import Fallback, FallbackModel
from pointsman.models.measured import MeasuredModel
from pointsman.models.openai_chat import OpenAIChatModel, OpenAIOptions
from pointsman.models.port import ChatModel
from pointsman.models.prices import PRICES
from pointsman.settings import Settings
from pointsman.telemetry import Telemetry

_NO_KEY = "not-needed"
"""A server of one's own mostly does not look at the key; some insist that there is one."""
_FALLBACK: Final = re.compile(r"(?P<name>\S+?)(?:@(?P<base_url>https?://\S+))?")


def chat_model(settings: Settings, telemetry: Telemetry | None = None) -> ChatModel:
    """The chat model of this process.

    Args:
        settings: the process's settings.
        telemetry: hears of each call; None tells nobody.

    Raises:
        ConfigurationError: neither a key nor the address of a server is set.
    """
    key = _revealed(settings.openai_api_key)
    if not key and not settings.openai_base_url:
        remedy = "set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own, or run `pointsman up`"
        raise ConfigurationError("there is no chat model to ask", remedy)
    options = OpenAIOptions(
        model=settings.model,
        base_url=settings.openai_base_url,
        timeout_s=settings.model_timeout_s,
        attempts=settings.model_attempts,
        prices={**PRICES, **settings.model_prices},
        access=AccessOptions(
            concurrency=settings.model_concurrency,
            breaker_failures=settings.model_breaker_failures,
            breaker_reset_s=settings.model_breaker_reset_s,
        ),
    )
    told = telemetry or Telemetry()
    first = MeasuredModel(OpenAIChatModel(key or _NO_KEY, options), told)
    fallbacks = [_fallback(text, settings, options, first, told) for text in settings.model_fallbacks]
    return FallbackModel(first, fallbacks) if fallbacks else first


def _fallback(text: str, settings: Settings, options: OpenAIOptions, first: MeasuredModel, told: Telemetry) -> Fallback:
    found = _FALLBACK.fullmatch(text)
    if found is None:
        raise ConfigurationError("setting POINTSMAN_MODEL_FALLBACKS names no model", "write name or name@base_url")
    name, base_url = found["name"], found["base_url"]
    if base_url is None or base_url == options.base_url:
        return Fallback(name=name, model=first)
    # Another server gets a key of its own, never that of the first.
    key = _revealed(settings.model_fallback_api_key) or _NO_KEY
    other = OpenAIChatModel(key, replace(options, model=name, base_url=base_url))
    return Fallback(name=name, model=MeasuredModel(other, told))


def _revealed(secret: SecretStr | None) -> str:
    return secret.get_secret_value() if secret else ""
