"""How much of everything a run does: the critical half in `make test`, all faults in `make chaos`, more at night."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_LEADS_PER_S: Final = 5.0


@dataclass(frozen=True, kw_only=True)
class Tier:
    """The size of a run.

    Attributes:
        name: what `--tier` calls it.
        leads: leads of one experiment.
        share: how many of a fault's repetitions happen, compared with `make chaos`.
        outage_s: seconds for which the model is down.
        parallelisms: how parallel the router becomes, one after the other; it begins with one instance.
        holds_times: whether tests hold the times in which work goes on; not in `make test`, which runs on any machine,
            whatever else that does.
    """

    name: str
    leads: int
    share: float
    outage_s: float
    parallelisms: tuple[int, ...] = (2, 4, 1)
    holds_times: bool = True

    @property
    def load_s(self) -> float:
        """Seconds over which the leads of one experiment come in."""
        return self.leads / _LEADS_PER_S

    def times(self, quick: int) -> int:
        """How often a fault happens of which `make chaos` has `quick`; at least once."""
        return max(1, round(quick * self.share))


TIERS: Final = {
    tier.name: tier
    for tier in (
        Tier(name="critical", leads=30, share=0.4, outage_s=20, parallelisms=(2, 1), holds_times=False),
        Tier(name="quick", leads=100, share=1.0, outage_s=40),
        Tier(name="nightly", leads=300, share=3.0, outage_s=300),
    )
}
