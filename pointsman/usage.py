"""What model calls use, and how much of it a workflow has left: numbers that travel in headers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MICRO: Final = 1_000_000
"""Micro-dollars in a dollar: money is counted in whole numbers, since sums of fractions drift."""

USAGE_HEADERS: Final = {
    "calls": "ce_modelcalls",
    "input_tokens": "ce_inputtokens",
    "output_tokens": "ce_outputtokens",
    "cost_microusd": "ce_costmicrousd",
}
"""Headers of an agent's first reply: what handling that one message used."""
BUDGET_HEADERS: Final = {
    "calls": "ce_budgetcalls",
    "tokens": "ce_budgettokens",
    "cost_microusd": "ce_budgetmicrousd",
}
"""Headers of a routed message: what its workflow has left."""
ROUTING_HEADER: Final = "ce_routingusage"
"""Header with what the routing of the message used: four numbers with commas between them, in the order of `Usage`. It
comes back on the agent's first reply, so that the router's own calls are in the sum too."""

_NUMBER: Final = re.compile(r"[0-9]{1,12}")


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What model calls have used.

    Attributes:
        calls: answers that came back, repaired ones included; a call without an answer is not counted.
        input_tokens: tokens of the prompts.
        output_tokens: tokens of the answers.
        cost_microusd: micro-dollars, as far as prices are known.
    """

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_microusd: int = 0

    @property
    def tokens(self) -> int:
        """Tokens of prompts and answers."""
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        return Usage(**{name: getattr(self, name) + getattr(other, name) for name in USAGE_HEADERS})

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in USAGE_HEADERS)

    def headers(self) -> dict[str, bytes]:
        """As headers of a reply; what is zero is left out."""
        return _headers(self, USAGE_HEADERS, zero=False)

    def to_text(self) -> str:
        """As one text, for `ROUTING_HEADER`."""
        return ",".join(str(getattr(self, name)) for name in USAGE_HEADERS)

    @staticmethod
    def from_text(text: str) -> Usage:
        """Read what `to_text` wrote; anything else is no usage."""
        parts = text.split(",")
        if len(parts) != len(USAGE_HEADERS) or not all(_NUMBER.fullmatch(part) for part in parts):
            return Usage()
        return Usage(**dict(zip(USAGE_HEADERS, map(int, parts), strict=True)))

    @staticmethod
    def from_headers(headers: Mapping[str, bytes]) -> Usage:
        """Read the headers of a reply; what is missing or no number is zero."""
        return Usage(**{name: _number(headers.get(header)) or 0 for name, header in USAGE_HEADERS.items()})


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What may still be used; None is no bound.

    Attributes:
        calls: model calls.
        tokens: tokens of prompts and answers.
        cost_microusd: micro-dollars.
    """

    calls: int | None = None
    tokens: int | None = None
    cost_microusd: int | None = None

    def less(self, used: Usage) -> Budget:
        """What is left after `used`, never below zero."""
        return Budget(
            calls=_left(self.calls, used.calls),
            tokens=_left(self.tokens, used.tokens),
            cost_microusd=_left(self.cost_microusd, used.cost_microusd),
        )

    def within(self, other: Budget) -> Budget:
        """The tighter of the two, bound by bound."""
        return Budget(**{name: _tighter(getattr(self, name), getattr(other, name)) for name in BUDGET_HEADERS})

    def spent(self) -> str | None:
        """The limit that allows no further call, for programs; None while one more is allowed."""
        codes = {"model_call_limit": self.calls, "token_limit": self.tokens, "cost_limit": self.cost_microusd}
        return next((code for code, left in codes.items() if left is not None and left <= 0), None)

    def headers(self) -> dict[str, bytes]:
        """As headers of a routed message."""
        return _headers(self, BUDGET_HEADERS, zero=True)

    def to_json(self) -> dict[str, int | None]:
        """As a JSON object for the decision log."""
        return {"calls": self.calls, "tokens": self.tokens, "cost_microusd": self.cost_microusd}

    @staticmethod
    def from_headers(headers: Mapping[str, bytes]) -> Budget:
        """Read the headers of a routed message; what is missing or no number is no bound."""
        return Budget(**{name: _number(headers.get(header)) for name, header in BUDGET_HEADERS.items()})


def microusd(cost_usd: float) -> int:
    """Dollars as whole micro-dollars."""
    return round(cost_usd * MICRO)


def _headers(counted: Usage | Budget, names: Mapping[str, str], *, zero: bool) -> dict[str, bytes]:
    values = {header: getattr(counted, name) for name, header in names.items()}
    return {header: str(value).encode() for header, value in values.items() if value or (zero and value is not None)}


def _number(text: bytes | None) -> int | None:
    found = None if text is None else _NUMBER.fullmatch(text.decode(errors="replace"))
    return int(found.group()) if found else None


def _left(allowed: int | None, used: int) -> int | None:
    return None if allowed is None else max(0, allowed - used)


def _tighter(one: int | None, other: int | None) -> int | None:
    return min((bound for bound in (one, other) if bound is not None), default=None)
