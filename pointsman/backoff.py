"""How long to wait before asking somebody again who was not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_MOST_DOUBLINGS: Final = 60


@dataclass(frozen=True, kw_only=True)
class BackOff:
    """Waits that double up to a cap, spread so that those who failed together do not come back together.

    Attributes:
        first_s: seconds before the second try.
        longest_s: seconds that a wait grows to, the spread and a wish of the other side left aside.
        spread: share of a wait that chance may add to it, 0 to 1.
    """

    first_s: float = 0.5
    longest_s: float = 30.0
    spread: float = 0.25

    def wait_s(self, tries: int, dice: float, asked_s: float | None = None) -> float:
        """Seconds to wait after so many tries in vain.

        Args:
            tries: tries so far, at least 1.
            dice: a random number from 0 to 1.
            asked_s: seconds that the other side asked us to wait; chance adds to them and never takes away.
        """
        doubled = self.first_s * 2.0 ** min(tries - 1, _MOST_DOUBLINGS)
        least_s = max(min(doubled, self.longest_s), asked_s or 0.0)
        return least_s + min(least_s, self.longest_s) * self.spread * dice
