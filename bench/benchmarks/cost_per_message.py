"""P10: how many model calls and tokens contracts and a local model save, on the SDR's messages and on a lead's way."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from bench.labelled import NOW, STAND_IN, by_model_alone, by_routers, examples, is_reachable, percent, sdr_agents
from bench.labelled import message as example_message
from bench.results_file import Report, machine
from bench.session import Session
from pointsman.catalog import Catalog
from pointsman.definitions import AgentDefinition
from pointsman.evaluation.dataset import Example
from pointsman.routing.decision import Decision
from pointsman.routing.limits import Counters
from pointsman.routing.prompt import prefix_for, user_turn
from pointsman.routing.question import ModelQuestion
from pointsman.routing.router import Router, RoutingOptions

TITLE = "Model calls and tokens per message"
MINUTES = 2.0
OURS, LOCAL = "Pointsman", "Pointsman, local model first"
ALWAYS: Final = "model always, all agents in the prompt"
WAY: Final = ("lead.received", "lead.profiled", "lead.scored", "campaign.drafted")
ON_ITS_WAY: Final = "a lead's way"
CACHED_FROM, CACHED_STEP, CACHED_PRICE = 1024, 128, 0.1
"""OpenAI's servers keep a prompt's beginning from so many tokens on, in such steps, at such a share of the price."""
_FOLDS: Final = 10
_AGAINST: Final[Mapping[str, str]] = MappingProxyType({OURS: ALWAYS, LOCAL: OURS})
"""What a way to decide is measured against: each may lose something to the one before it."""

Routers = Mapping[str, Router]
"""The router of each message, by the message's id."""


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What one message took.

    Attributes:
        tokens: of the prompt; 0 where no model was asked.
        billed: the same, where the server still has its beginning.
        is_right: what was decided without a model was right; None where one was asked.
    """

    tokens: int
    billed: float
    is_right: bool | None = None


def run(session: Session) -> Report:
    """Count; nothing is asked, so one turn says it all."""
    report = Report(
        benchmark="P10", title=TITLE, machine=machine(session.bed.cores),
        what="The labelled messages in examples/evaluation/sdr.jsonl, by category, most of them written to leave a "
        "choice; and the four messages of a lead's way (received, profiled, scored, drafted), each as heavy as the "
        "labelled ones of its type. Model calls and prompt tokens (characters by four) of the router, and of a router "
        "that asks a model about every message with all agents in its prompt. Billed: where the server still has a "
        f"prompt's beginning, from {CACHED_FROM} tokens on, at a tenth of the price. The local model judges messages "
        "that it was not trained on. `without a model`: how many messages were decided so, and how many of them right. "
        "`reachable`: messages that a perfect model would bring to the right agent; `right, %`: those that the offline "
        "stand-in does, of which `points lost`: ours against a model that is always asked, the local model first (with "
        "the same stand-in behind it) against ours without it.",
        notes=[STAND_IN],
    )  # fmt: skip
    report.rows = measured(examples(), sdr_agents())
    session.say(f"P10: {len(report.rows)} figures")
    return report


def measured(among: Sequence[Example], agents: Sequence[AgentDefinition]) -> list[dict[str, Any]]:
    """The whole table, which needs nothing but the stand-in."""
    catalog = Catalog.of(agents)
    routers = {
        OURS: dict.fromkeys((example.id for example in among), Router(catalog)),
        LOCAL: routers_that_have_not_seen(among, catalog),
    }
    quality = quality_of(routers, asyncio.run(_right(routers, agents, among)), among)
    return [
        {**row, "repeat": 0, **quality.get((row["load"], row["system"]), {})} for row in rows(routers, agents, among)
    ]


def rows(
    routers: Mapping[str, Routers], agents: Sequence[AgentDefinition], among: Sequence[Example]
) -> list[dict[str, Any]]:
    """The figures that need no model, by system and load."""
    everybody = prefix_for(agents)
    took = {
        **{system: [_taken(by_id[each.id], each) for each in among] for system, by_id in routers.items()},
        ALWAYS: [_asked(everybody.system, user_turn(example_message(each), 12_000)) for each in among],
    }
    found = []
    for system, taken in took.items():
        paired = list(zip(among, taken, strict=True))
        by_load: dict[str, list[Taken]] = defaultdict(list)
        for example, each in paired:
            for load in ("all", example.category):
                by_load[load].append(each)
        found += [_row(system, load, each) for load, each in by_load.items()]
        found.append(_on_its_way(system, paired))
    return found


def routers_that_have_not_seen(among: Sequence[Example], catalog: Catalog) -> Routers:
    """For each example a router whose local model was trained on the others: the shares are equal for all answers."""
    from pointsman.local_model.labelled import choices
    from pointsman.local_model.training import Target, train

    ordered = sorted(among, key=lambda each: (each.answer or "", each.id))
    found = {}
    for fold in range(_FOLDS):
        left_out = ordered[fold::_FOLDS]
        ids = {each.id for each in left_out}
        model = train(choices([each for each in among if each.id not in ids], catalog), Target(accuracy=0.95))
        router = Router(catalog, RoutingOptions(local_first=True), model)
        found.update({each.id: router for each in left_out})
    return found


def _taken(router: Router, example: Example) -> Taken:
    decided = router.prepare(example_message(example), Counters(step=1), NOW)
    if isinstance(decided, ModelQuestion):
        return _asked(decided.request.system, decided.request.user)
    return Taken(tokens=0, billed=0, is_right=_is_right(decided, example))


def _is_right(decided: Decision, example: Example) -> bool:
    return decided.agent == example.answer


def _asked(system: str, user: str) -> Taken:
    tokens, prefix = (len(system) + len(user)) // 4, len(system) // 4
    kept = prefix // CACHED_STEP * CACHED_STEP if prefix >= CACHED_FROM else 0
    return Taken(tokens=tokens, billed=tokens - kept * (1 - CACHED_PRICE))


def _row(system: str, load: str, taken: Sequence[Taken]) -> dict[str, Any]:
    without = [each.is_right for each in taken if each.is_right is not None]
    return {
        "system": system, "load": load, "messages": len(taken),
        "calls_per_message": sum(each.tokens > 0 for each in taken) / len(taken),
        "tokens_per_message": sum(each.tokens for each in taken) / len(taken),
        "billed_per_message": sum(each.billed for each in taken) / len(taken),
        "without_model": len(without), "without_model_right": sum(without),
    }  # fmt: skip


def _on_its_way(system: str, took: Sequence[tuple[Example, Taken]]) -> dict[str, Any]:
    """A lead that is written to: one message of each type, the mean of those that belong to an agent."""
    by_type = [[taken for one, taken in took if one.event_type == kind and one.answer] for kind in WAY]
    means = [_row(system, ON_ITS_WAY, each) for each in by_type]
    named = ("calls_per_message", "tokens_per_message", "billed_per_message")
    return {
        **means[0], "messages": sum(map(len, by_type)),
        **{name: sum(mean[name] for mean in means) / len(WAY) for name in named},
        **{name: sum(mean[name] for mean in means) for name in ("without_model", "without_model_right")},
    }  # fmt: skip


async def _right(
    routers: Mapping[str, Routers], agents: Sequence[AgentDefinition], among: Sequence[Example]
) -> dict[str, dict[str, bool]]:
    right = {system: await by_routers(by_id, among) for system, by_id in routers.items()}
    return {**right, ALWAYS: await by_model_alone(agents, among)}


def quality_of(
    routers: Mapping[str, Routers], right: Mapping[str, Mapping[str, bool]], among: Sequence[Example]
) -> dict[tuple[str, str], dict[str, float]]:
    """Accuracy by category and system.

    Args:
        routers: of the systems that have one.
        right: whether each message, by id, came to the right agent, by system.
        among: the labelled messages.
    """
    found = {}
    for category in {"all", *(example.category for example in among)}:
        of_it = [example for example in among if category in (example.category, "all")]
        shares = {system: percent(by_id[example.id] for example in of_it) for system, by_id in right.items()}
        for system, share in shares.items():
            against = _AGAINST.get(system)
            found[category, system] = {
                "right_percent": share,
                "reachable_percent": _reachable_percent(routers.get(system), of_it),
                **({"points_lost": shares[against] - share} if against else {}),
            }
    return found


def _reachable_percent(routers: Routers | None, among: Sequence[Example]) -> float:
    # Who shows the model all agents, for every message, rules none out.
    return percent(is_reachable(routers[each.id], each) for each in among) if routers else 100.0
