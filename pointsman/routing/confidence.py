"""How sure a model must be for its choice to be acted on, for every agent or for one. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from pointsman.errors import ConfigurationError
from pointsman.models.port import Doubt
from pointsman.routing.prompt import NONE

CHOICE: Final = "agent"
"""Name of the property of the answer that holds the choice."""


def doubt_of(confidence: str, second_model: str, samples: int) -> Doubt | None:
    """What to do with a choice that is not sure; None where nobody asks.

    Args:
        confidence: thresholds, as `thresholds` reads them; empty asks nothing.
        second_model: is asked where the first is not sure; empty for none.
        samples: 2 has the model asked twice where the server gives no log-probabilities; 1 never does.
    """
    if not confidence:
        return None
    # "None of them" goes to a person anyhow.
    return Doubt(
        field=CHOICE,
        thresholds={**thresholds(confidence), NONE: 0.0},
        second_model=second_model or None,
        samples=samples,
    )


def checked(confidence: str) -> str:
    """`confidence` as it is.

    Raises:
        ConfigurationError: `thresholds` cannot read it.
    """
    if confidence:
        thresholds(confidence)
    return confidence


@lru_cache(maxsize=32)
def thresholds(text: str) -> Mapping[str, float]:
    """Thresholds by agent, the one for all others under the empty name: `0.7`, or `0.7,lead_scoring=0.85`.

    Raises:
        ConfigurationError: it is none.
    """
    found = {"": 0.0}
    for part in text.split(","):
        name, _, number = part.strip().rpartition("=")
        try:
            value = float(number)
        except ValueError:
            value = -1.0
        if not 0 <= value <= 1:
            remedy = "write 0.7, or 0.7,lead_scoring=0.85: numbers from 0 to 1"
            raise ConfigurationError(f"{part.strip()[:40]!r} is no threshold of confidence", remedy)
        found[name.strip()] = value
    return found
