"""How sure a model was of one value in its answer, from the log-probabilities of the value's tokens. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

Token = tuple[str, float]
"""Its text, and the natural logarithm of its probability."""


def value_confidence(tokens: Sequence[Token], field: str) -> float | None:
    """The probability of the text that stands for `field` in a JSON answer, 0 to 1; None when it cannot be told.

    Args:
        tokens: the answer's tokens, in order.
        field: name of a property at the top of the answer whose value is a text.
    """
    whole = "".join(text for text, _ in tokens)
    found = re.search(rf'"{re.escape(field)}"\s*:\s*"([^"]*)"', whole)
    if found is None:
        return None
    (start, end), position, total = found.span(1), 0, 0.0
    for text, logprob in tokens:
        # A token that also holds a quote or a comma counts whole: what it holds of the value cannot be told apart.
        if position < end and position + len(text) > start:
            total += logprob
        position += len(text)
    return math.exp(min(0.0, total)) if math.isfinite(total) else None
