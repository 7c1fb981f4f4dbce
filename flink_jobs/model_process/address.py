"""Which model an operator asks; apart, so that an operator need not load the model's clients."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ModelAddress:
    """Which model to call; the key comes from the worker's own environment.

    Attributes:
        base_url: address of the API, ending in `/v1`; None leaves it to the environment.
        model: model name; None leaves it to the environment.
        concurrency: calls in flight per process; None leaves it to the environment.
        timeout_s: seconds for one attempt; None leaves it to the environment.
        is_shadow: for what nobody waits for: connections, slots and breaker of its own.
    """

    base_url: str | None = None
    model: str | None = None
    concurrency: int | None = None
    timeout_s: float | None = None
    is_shadow: bool = False
