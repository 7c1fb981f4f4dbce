"""P10: how many model calls and tokens contracts save on the SDR's own messages."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime
from typing import Any, Final

from bench.programs import ROOT
from bench.results_file import Report, machine
from bench.session import Session
from pointsman.catalog import Catalog
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.envelope import Envelope
from pointsman.evaluation.dataset import read_dataset
from pointsman.routing.limits import Counters
from pointsman.routing.prompt import prefix_for, user_turn
from pointsman.routing.question import ModelQuestion
from pointsman.routing.router import Router

TITLE = "Model calls and tokens per message"
MINUTES = 0.6
DATASET: Final = ROOT / "examples" / "evaluation" / "sdr.jsonl"
NOW: Final = datetime(2030, 1, 1, tzinfo=UTC)
OURS, ALWAYS = "Pointsman: contracts first", "model always, all agents in the prompt"


def run(session: Session) -> Report:
    """Count; nothing is asked, so one turn says it all."""
    report = Report(
        benchmark="P10", title=TITLE, machine=machine(session.bed.cores),
        what="The labelled messages in examples/evaluation/sdr.jsonl, by category: model calls and prompt tokens "
        "(characters by four) of the router, and of a router that asks a model about every message with all agents in "
        "its prompt.",
        notes=["Accuracy needs a language model and is not measured here: `pointsman eval run` does (evaluation.md)."],
    )  # fmt: skip
    found: dict[tuple[str, str], list[int]] = defaultdict(list)
    agents = load_folder_or_raise(ROOT / "agent_definitions").definitions
    router, everybody = Router(Catalog.of(agents)), prefix_for(agents)
    for example in read_dataset(DATASET):
        message = _message(example.event_type, example.payload)
        asked = router.prepare(message, Counters(step=1), NOW)
        tokens = _tokens(asked.request.system, asked.request.user) if isinstance(asked, ModelQuestion) else 0
        for category in (example.category, "all"):
            found[category, OURS].append(tokens)
            found[category, ALWAYS].append(_tokens(everybody.system, user_turn(message, 12_000)))
    for (category, system), all_tokens in found.items():
        calls = sum(tokens > 0 for tokens in all_tokens)
        figures = {
            "calls_per_message": calls / len(all_tokens),
            "tokens_per_message": sum(all_tokens) / len(all_tokens),
        }
        report.rows.append({"system": system, "load": category, "repeat": 0, "messages": len(all_tokens), **figures})
    session.say(f"P10: {len(report.rows)} figures")
    return report


def _message(kind: str, payload: dict[str, Any]) -> Envelope:
    return Envelope(id="m", source="/bench", event_type=kind, workflow_id="w", payload=payload, time=NOW)


def _tokens(*texts: str) -> int:
    return sum(map(len, texts)) // 4
