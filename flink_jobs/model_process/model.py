"""The model that a process asks."""

from __future__ import annotations

from typing import Final

from flink_jobs.model_process.address import ModelAddress
from pointsman.errors import ConfigurationError, PointsmanError
from pointsman.models.factory import chat_model
from pointsman.models.opinions import OpinionsModel
from pointsman.models.port import ChatModel
from pointsman.settings import settings
from pointsman.telemetry import Telemetry

SHADOW_CONCURRENCY: Final = 8
"""Calls in flight per process for a rollout's candidate in shadow."""


def model_at(address: ModelAddress, telemetry: Telemetry) -> ChatModel:
    """The model at `address`.

    Args:
        address: which one.
        telemetry: hears of each call.

    Raises:
        ConfigurationError: the address and the environment name none, or no valid one.
    """
    told = {
        "openai_base_url": address.base_url,
        "model": address.model,
        "model_concurrency": SHADOW_CONCURRENCY if address.is_shadow else address.concurrency,
        "model_timeout_s": address.timeout_s,
    }
    try:
        known = settings().model_copy(update={k: v for k, v in told.items() if v is not None})
        return OpinionsModel(chat_model(known, telemetry))
    except PointsmanError:
        raise
    except Exception as error:
        # A validation error would quote what the environment holds.
        raise ConfigurationError(f"the chat model cannot be made ({type(error).__name__})") from None
