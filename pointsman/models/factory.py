"""The chat model that the settings name."""

from __future__ import annotations

from pointsman.errors import ConfigurationError
from pointsman.models.openai_chat import OpenAIChatModel, OpenAIOptions
from pointsman.models.port import ChatModel
from pointsman.settings import Settings

_NO_KEY = "not-needed"
"""The SDK insists on a key; a server of one's own mostly does not look at it."""


def chat_model(settings: Settings) -> ChatModel:
    """The chat model of this process.

    Raises:
        ConfigurationError: neither a key nor the address of a server is set.
    """
    key = settings.openai_api_key.get_secret_value() if settings.openai_api_key else ""
    if not key and not settings.openai_base_url:
        remedy = "set OPENAI_API_KEY, or OPENAI_BASE_URL for a server of your own, or run `pointsman up`"
        raise ConfigurationError("there is no chat model to ask", remedy)
    options = OpenAIOptions(
        model=settings.model,
        base_url=settings.openai_base_url,
        timeout_s=settings.model_timeout_s,
        attempts=settings.model_attempts,
        concurrency=settings.model_concurrency,
    )
    return OpenAIChatModel(key or _NO_KEY, options)
