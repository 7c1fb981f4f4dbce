"""The stages that workflows pass, how many stand in each, and how long each takes. Pure."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import quantiles
from typing import Final

from pointsman.catalog import Catalog
from pointsman.journeys import Hop, Journey
from pointsman.routing.decision import Outcome

ROUTER: Final = "router"
"""The stage of a message that waits for its decision. No agent is called so: agents' names stand for themselves."""


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One stage as of now.

    Attributes:
        name: `router`, or an agent's name.
        here: number of workflows whose latest message is there.
        passed: number of times that it was passed, among the workflows that are known.
        p50_s: seconds that half of them took at most; None when none has passed.
        p95_s: seconds that 95 of 100 took at most.
    """

    name: str
    here: int
    passed: int
    p50_s: float | None
    p95_s: float | None


def stages(journeys: Sequence[Journey], here: Mapping[str, int], catalog: Catalog) -> list[Stage]:
    """Every stage: the router first, then the agents in the order in which messages reach them.

    Args:
        journeys: the workflows that are known.
        here: how many stand where.
        catalog: the agents in force.
    """
    took = _durations(journeys)
    names = [ROUTER, *in_order(catalog)]
    names += sorted(name for name in {*here, *took} if name not in names)
    return [_stage(name, here.get(name, 0), took.get(name, [])) for name in names]


def in_order(catalog: Catalog) -> list[str]:
    """The agents by their distance from where messages come in, then by name."""
    found = depths(catalog)
    return sorted(found, key=lambda name: (found[name], name))


def depths(catalog: Catalog) -> dict[str, int]:
    """How many agents stand between each agent and those that only get what comes from outside."""
    emitted = {name: {entry.type for entry in one.emits} for name, one in catalog.definitions.items()}
    accepted = {name: {entry.type for entry in one.accepts} for name, one in catalog.definitions.items()}
    outside = {name: types - set().union(*emitted.values()) for name, types in accepted.items()}
    only = {name for name, types in outside.items() if types == accepted[name]}
    found = dict.fromkeys(only or {name for name, types in outside.items() if types}, 0)
    frontier = set(found)
    while frontier:
        told = set().union(*(emitted[name] for name in frontier))
        reached = {name for name, types in accepted.items() if name not in found and told & types}
        step = 1 + max(found[name] for name in frontier)
        found.update(dict.fromkeys(reached, step))
        frontier = reached
    # In a circle that nothing leads into from outside, nobody is first.
    return {name: found.get(name, 0) for name in catalog.definitions}


def traffic(journeys: Iterable[Journey]) -> Counter[tuple[str, str, str]]:
    """How many messages went from whom by which type to which agent; `end` stands for a completed workflow."""
    counted: Counter[tuple[str, str, str]] = Counter()
    for journey in journeys:
        for hop in journey.hops:
            if hop.outcome is Outcome.ROUTED and hop.agent:
                counted[hop.source, hop.event_type, hop.agent] += 1
            elif hop.outcome is Outcome.COMPLETED:
                counted[hop.source, hop.event_type, "end"] += 1
    return counted


def _durations(journeys: Iterable[Journey]) -> dict[str, list[float]]:
    """Seconds that each stage took, each time that it was passed."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for journey in journeys:
        for number, hop in enumerate(journey.hops):
            if hop.decided_at and hop.written_at:
                found[ROUTER].append(max(0.0, (hop.decided_at - hop.written_at).total_seconds()))
            seconds = _answered_after_s(hop, journey.hops[number + 1 :])
            if hop.agent and seconds is not None:
                found[hop.agent].append(seconds)
    return found


def _answered_after_s(hop: Hop, later: Sequence[Hop]) -> float | None:
    """Seconds from the decision to the agent's first answer; None while there is none."""
    if hop.outcome is not Outcome.ROUTED or hop.decided_at is None:
        return None
    times = [one.written_at for one in later if one.source == hop.agent and one.written_at]
    return max(0.0, (min(times) - hop.decided_at).total_seconds()) if times else None


def _stage(name: str, here: int, took: list[float]) -> Stage:
    if not took:
        return Stage(name=name, here=here, passed=0, p50_s=None, p95_s=None)
    cuts = quantiles(took, n=20, method="inclusive") if len(took) > 1 else took * 19
    return Stage(name=name, here=here, passed=len(took), p50_s=cuts[9], p95_s=cuts[18])
