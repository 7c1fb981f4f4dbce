"""What the figures are made of. Pure."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

_SHOWN_PERCENTILES = (50, 90, 99)


@dataclass(frozen=True, kw_only=True)
class Arrival:
    """One record that a collector saw.

    Attributes:
        number: number of the message within its run.
        at: when it was seen, seconds since 1970.
        agent: who it was routed to; the topic's name where it is no inbox.
    """

    number: int
    at: float
    agent: str


@dataclass(frozen=True, kw_only=True)
class Offered:
    """Messages that were offered at a constant rate.

    Attributes:
        count: how many.
        began: when the first was due, seconds since 1970.
        rate: messages per second; 0 offers all of them at once.
    """

    count: int
    began: float
    rate: float

    def due(self, number: int) -> float:
        """When message `number` was due: the moment that its latency counts from, whenever it was really sent."""
        return self.began + (number / self.rate if self.rate else 0.0)


@dataclass(frozen=True, kw_only=True)
class Account:
    """What became of the messages of one run.

    Attributes:
        lost: offered and never seen.
        duplicated: seen again, once for each further time.
        misrouted: seen at another agent than the model had named.
    """

    lost: int
    duplicated: int
    misrouted: int

    @property
    def is_void(self) -> bool:
        """Whether the figures of the run say nothing: what is not delivered costs no time."""
        return self.lost > 0 or self.misrouted > 0


def account(count: int, arrivals: Iterable[Arrival], expected: Callable[[int], str | None]) -> Account:
    """Count what is missing, came twice or went astray.

    Args:
        count: messages offered; their numbers are 0 to count - 1.
        arrivals: what was seen.
        expected: the agent that a message belongs to; None when any will do.
    """
    seen: Counter[int] = Counter()
    misrouted = 0
    for arrival in arrivals:
        seen[arrival.number] += 1
        wanted = expected(arrival.number)
        misrouted += wanted is not None and arrival.agent != wanted
    return Account(
        lost=sum(number not in seen for number in range(count)),
        duplicated=sum(times - 1 for times in seen.values()),
        misrouted=misrouted,
    )


def latencies_ms(offered: Offered, arrivals: Iterable[Arrival], warm_up_s: float = 0.0) -> list[float]:
    """Milliseconds from when each message was due to when it was first seen, sorted, those of the warm-up left out."""
    first: dict[int, float] = {}
    for arrival in arrivals:
        first[arrival.number] = min(arrival.at, first.get(arrival.number, math.inf))
    counted_from = offered.began + warm_up_s
    due = ((number, offered.due(number), at) for number, at in first.items())
    return sorted((at - when) * 1000 for _, when, at in due if when >= counted_from)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of sorted values.

    Raises:
        ValueError: there are no values.
    """
    if not ordered:
        raise ValueError("no values, so no percentile")
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def summary(ordered: Sequence[float]) -> dict[str, float]:
    """`p50`, `p90`, `p99` and `max` of sorted values, to a hundredth; empty when there are none."""
    if not ordered:
        return {}
    shown = {f"p{percent}": round(percentile(ordered, percent), 2) for percent in _SHOWN_PERCENTILES}
    return {**shown, "max": round(ordered[-1], 2)}


def per_second(arrivals: Sequence[Arrival]) -> float:
    """Distinct messages per second between the first and the last that was seen; 0 for fewer than two."""
    first: dict[int, float] = {}
    for arrival in arrivals:
        first.setdefault(arrival.number, arrival.at)
    if len(first) < 2:
        return 0.0
    took = max(first.values()) - min(first.values())
    return (len(first) - 1) / took if took > 0 else 0.0


def longest_gap_s(arrivals: Iterable[Arrival]) -> float:
    """The longest time, in seconds, in which nothing was seen."""
    times = sorted(arrival.at for arrival in arrivals)
    return max((after - before for before, after in pairwise(times)), default=0.0)


def ratio_of_medians(above: Sequence[float], below: Sequence[float]) -> float | None:
    """The median of `above` over the median of `below`; None where one is missing or the divisor is not positive."""
    if not above or not below or statistics.median(below) <= 0:
        return None
    return statistics.median(above) / statistics.median(below)


def medians(rows: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """The median of each figure over the repeats in which it is there."""
    names = dict.fromkeys(name for row in rows for name in row)
    found = {name: [value for row in rows if (value := row.get(name)) is not None] for name in names}
    return {name: statistics.median(values) for name, values in found.items() if values}


def stolen_percent(before: Mapping[str, float], after: Mapping[str, float]) -> float:
    """Share of all cores' time that a virtual machine was ready to work and its host gave to others, in per cent.

    Args:
        before: seconds since the start by what they were spent on (`/proc/stat`), `steal` among them where it is known.
        after: the same later.
    """
    passed = sum(after.values()) - sum(before.values())
    return round(100 * (after.get("steal", 0.0) - before.get("steal", 0.0)) / passed, 1) if passed else 0.0
