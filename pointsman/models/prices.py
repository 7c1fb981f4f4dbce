"""What model calls cost: list prices by model, and whatever the settings say instead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

_PER: Final = 1_000_000
_DATED: Final = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{8}|latest)$")
"""Providers answer with the dated name of the model that was asked for by its plain name."""


class Price(BaseModel):
    """What a model costs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: float = Field(ge=0, allow_inf_nan=False, description="US dollars per million tokens of prompts.")
    output: float = Field(ge=0, allow_inf_nan=False, description="US dollars per million tokens of answers.")
    cached_input: float | None = Field(
        default=None, ge=0, allow_inf_nan=False,
        description="US dollars per million tokens of prompts that the server still has; as `input` when left out.",
    )  # fmt: skip


PRICES: Final[Mapping[str, Price]] = {
    "gpt-4o": Price(input=2.50, cached_input=1.25, output=10.00),
    "gpt-4o-mini": Price(input=0.15, cached_input=0.075, output=0.60),
    "gpt-4.1": Price(input=2.00, cached_input=0.50, output=8.00),
    "gpt-4.1-mini": Price(input=0.40, cached_input=0.10, output=1.60),
    "gpt-4.1-nano": Price(input=0.10, cached_input=0.025, output=0.40),
    "gpt-5": Price(input=1.25, cached_input=0.125, output=10.00),
    "gpt-5-mini": Price(input=0.25, cached_input=0.025, output=2.00),
    "gpt-5-nano": Price(input=0.05, cached_input=0.005, output=0.40),
    "o3": Price(input=2.00, cached_input=0.50, output=8.00),
    "o4-mini": Price(input=1.10, cached_input=0.275, output=4.40),
}
"""List prices as known when this version was made: the setting `POINTSMAN_MODEL_PRICES` has the last word."""


def price_of(model: str, prices: Mapping[str, Price] = PRICES) -> Price | None:
    """The price of `model`, also under its dated name; None when it is unknown."""
    return prices.get(model) or prices.get(_DATED.sub("", model))


def cost_usd(
    model: str, *, input_tokens: int, output_tokens: int, cached_tokens: int = 0, prices: Mapping[str, Price] = PRICES
) -> float | None:
    """US dollars for a call; None, and never zero, when the model's price is unknown.

    Args:
        model: the model that answered.
        input_tokens: tokens of the prompt.
        output_tokens: tokens of the answer.
        cached_tokens: of the prompt's tokens, those that the server still had.
        prices: prices by model.
    """
    price = price_of(model, prices)
    if price is None:
        return None
    # By the server's word, which may be anything.
    cached = max(0, min(cached_tokens, input_tokens))
    discount = 0.0 if price.cached_input is None else price.input - price.cached_input
    return round((input_tokens * price.input - cached * discount + output_tokens * price.output) / _PER, 9)
