"""P10: how many model calls and tokens contracts save on the SDR's own messages."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence

from bench.labelled import NOW, STAND_IN, by_model_alone, by_router, examples, is_reachable, percent, sdr_agents
from bench.labelled import message as example_message
from bench.results_file import Report, machine
from bench.session import Session
from pointsman.catalog import Catalog
from pointsman.definitions import AgentDefinition
from pointsman.evaluation.dataset import Example
from pointsman.routing.limits import Counters
from pointsman.routing.prompt import prefix_for, user_turn
from pointsman.routing.question import ModelQuestion
from pointsman.routing.router import Router

TITLE = "Model calls and tokens per message"
MINUTES = 0.6
OURS, ALWAYS = "Pointsman", "model always, all agents in the prompt"


def run(session: Session) -> Report:
    """Count; nothing is asked, so one turn says it all."""
    report = Report(
        benchmark="P10", title=TITLE, machine=machine(session.bed.cores),
        what="The labelled messages in examples/evaluation/sdr.jsonl, by category: model calls and prompt tokens "
        "(characters by four) of the router, and of a router that asks a model about every message with all agents in "
        "its prompt. `reachable`: messages that a perfect model would bring to the right agent; `right`: those that "
        "the offline stand-in does, of which `points lost` against the other way to ask.",
        notes=[STAND_IN],
    )  # fmt: skip
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    agents, among = sdr_agents(), examples()
    router, everybody = Router(Catalog.of(agents)), prefix_for(agents)
    for example in among:
        message = example_message(example)
        asked = router.prepare(message, Counters(step=1), NOW)
        tokens = _tokens(asked.request.system, asked.request.user) if isinstance(asked, ModelQuestion) else 0
        for category in (example.category, "all"):
            found[category, OURS].append(tokens)
            found[category, ALWAYS].append(_tokens(everybody.system, user_turn(message, 12_000)))
    quality = _quality(router, agents, among)
    for (category, system), all_tokens in found.items():
        calls = sum(tokens > 0 for tokens in all_tokens)
        figures = {
            "calls_per_message": calls / len(all_tokens),
            "tokens_per_message": sum(all_tokens) / len(all_tokens),
        }
        report.rows.append(
            {
                "system": system,
                "load": category,
                "repeat": 0,
                "messages": len(all_tokens),
                **figures,
                **quality[category, system],
            }
        )
    session.say(f"P10: {len(report.rows)} figures")
    return report


def _quality(
    router: Router, agents: Sequence[AgentDefinition], among: Sequence[Example]
) -> dict[tuple[str, str], dict[str, float]]:
    """Accuracy by category and system."""
    right = {OURS: asyncio.run(by_router(router, among)), ALWAYS: asyncio.run(by_model_alone(agents, among))}
    found = {}
    for category in {"all", *(example.category for example in among)}:
        of_it = [example for example in among if category in (example.category, "all")]
        shares = {system: percent(by_id[example.id] for example in of_it) for system, by_id in right.items()}
        reachable = {OURS: percent(is_reachable(router, example) for example in of_it), ALWAYS: 100.0}
        for system, share in shares.items():
            lost = {"points_lost": shares[ALWAYS] - share} if system == OURS else {}
            found[category, system] = {"right_percent": share, "reachable_percent": reachable[system], **lost}
    return found


def _tokens(*texts: str) -> int:
    return sum(map(len, texts)) // 4
