"""P7: what more agents cost: tokens, processor time, and how soon an edit is in use."""

from __future__ import annotations

import asyncio
import json
import threading
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from confluent_kafka import Consumer

from bench.catalogs import agents, agents_apart
from bench.flink_systems import ROUTER
from bench.labelled import NOW, STAND_IN, by_router, examples, is_reachable, message, percent, sdr_agents_among
from bench.measuring import Load, measure
from bench.messages import headers, payload
from bench.results_file import Report, machine
from bench.session import EXPECTED_TROUBLE, Entrant, Live, Session
from bench.systems import Workload
from bench.testbed import Testbed
from pointsman.catalog import Catalog
from pointsman.definitions import AgentDefinition
from pointsman.envelope import Envelope, Record, decode
from pointsman.evaluation.dataset import Example
from pointsman.routing.limits import Counters
from pointsman.routing.question import ModelQuestion
from pointsman.routing.router import Router, RoutingOptions
from pointsman.topics import DECISIONS, MESSAGES

TITLE = "More agents"
MINUTES = 6.0
SIZES: Final = (5, 50, 500)
EDIT_AFTER_S: Final = 1.0


def run(session: Session) -> Report:
    """Decisions in this process, then an edit of the catalog of a running router."""
    report = Report(
        benchmark="P7", title=TITLE, machine=machine(session.bed.cores),
        what="Catalogs of 5, 50 and 500 agents: once all of them take every message, once five agents take each type. "
        "The decision is the router's own code in one process, up to the question to the model; tokens are characters "
        "by four. Edit to use is from when an edit is published until a decision names the new catalog. `labelled`: "
        "the agents and messages of examples/evaluation/sdr.jsonl among others that take all the same messages, with "
        "the shortlist and with all agents in the prompt. `reachable`: messages that a perfect model would "
        "bring to the right agent; `right`: those that the offline stand-in does; `points lost`: fewer than so.",
        notes=[STAND_IN],
    )  # fmt: skip
    for turn in range(session.repeats):
        for size in SIZES:
            for name, catalog in (("all take it", agents(size)), ("five take it", agents_apart(size))):
                report.rows.append({"system": name, "load": f"{size} agents", "repeat": turn, **decisions(catalog)})
    report.rows += (row for size in SIZES for row in labelled(size, examples()[:: round(session.seconds(1, 4, 20))]))
    report.write(session.results)
    for size in (SIZES[0], SIZES[-1]):
        _edits(session, report, size)
    return report


def decisions(definitions: list[AgentDefinition], messages: int = 200) -> dict[str, float]:
    """Processor time and prompt tokens per decision, over so many messages."""
    router = Router(Catalog.of(definitions))
    records = [
        Record(topic=MESSAGES, key=b"k", value=payload("d0", number), headers=headers("d0", number), timestamp_ms=1)
        for number in range(messages)
    ]
    now, tokens = datetime.now(UTC), 0
    router.prepare(decode(records[0]), Counters(step=1), now)  # contracts and prompts are made once
    began = time.process_time()
    for record in records:
        question = router.prepare(decode(record), Counters(step=1), now)
        if isinstance(question, ModelQuestion):
            tokens += (len(question.request.system) + len(question.request.user)) // 4
    took = time.process_time() - began
    return {"decision_us": took / messages * 1e6, "prompt_tokens": tokens / messages}


def labelled(size: int, among: Sequence[Example]) -> list[dict[str, Any]]:
    """Tokens and accuracy on labelled messages among `size` agents; decided once, since it comes out alike."""
    definitions, rows, full = sdr_agents_among(size), [], 0.0
    for system, most in (("labelled, full prompt", 0), ("labelled, shortlist", RoutingOptions().max_shown)):
        router = Router(Catalog.of(definitions), RoutingOptions(max_shown=most))
        right = percent(asyncio.run(by_router(router, among)).values())
        lost = {"points_lost": full - right} if most else {}
        full = right
        rows.append(
            {
                "system": system, "load": f"{size} agents", "repeat": 0, "right_percent": right, **lost,
                "reachable_percent": percent(is_reachable(router, example) for example in among),
                "prompt_tokens": tokens_of(router, [message(example) for example in among]),
            }
        )  # fmt: skip
    return rows


def tokens_of(router: Router, messages: Sequence[Envelope]) -> float:
    """Prompt tokens per message, where a model is asked."""
    asked = (router.prepare(each, Counters(step=1), NOW) for each in messages)
    tokens = [len(one.request.system + one.request.user) // 4 for one in asked if isinstance(one, ModelQuestion)]
    return sum(tokens) / max(1, len(tokens))


def _edits(session: Session, report: Report, size: int) -> None:
    workload = Workload(agents=agents(size))
    with session.started(report, [Entrant(system=ROUTER, workload=workload, loads={})]) as lives:
        for live in lives:
            for turn in range(session.repeats):
                try:
                    took = _edit(session.bed, live, turn)
                except EXPECTED_TROUBLE as error:
                    report.failed(f"{ROUTER.name}, an edit of {size} agents", error)
                    continue
                report.rows.append({"system": "all take it", "load": f"{size} agents", "repeat": turn, "edit_s": took})
                session.say(f"P7 {size} agents: an edit is in use after {took} s")


@dataclass(kw_only=True)
class _Edit:
    began: float = 0.0
    version: str = ""
    seen: list[tuple[float, str]] = field(default_factory=list)


def _edit(bed: Testbed, live: Live, turn: int) -> float:
    """Edit one agent under load; seconds until a decision is made with the edit."""
    first, *others = live.entrant.workload.agents
    edited = first.model_copy(update={"version": f"1.0.{turn + 1}"})
    found, stopped = _Edit(), threading.Event()
    watcher = threading.Thread(target=_watch, args=(bed.bootstrap, found, stopped), daemon=True)
    watcher.start()

    def edit(began: float) -> None:
        time.sleep(max(0.0, began + EDIT_AFTER_S - time.time()))
        found.began = time.time()
        found.version = bed.catalog([edited, *others]).version

    try:
        measure(bed, live.running, Load.steady(50, 5), **live.about, during=edit)
    finally:
        stopped.set()
        watcher.join()
    at = min((at for at, version in found.seen if version == found.version), default=None)
    if at is None:
        raise ValueError("no decision was made with the edited catalog")
    return round(at - found.began, 3)


def _watch(bootstrap: str, found: _Edit, stopped: threading.Event) -> None:
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": uuid.uuid4().hex, "auto.offset.reset": "latest"})
    consumer.subscribe([DECISIONS])
    while not stopped.is_set():
        record = consumer.poll(0.05)
        if record is not None and record.error() is None:
            found.seen.append((time.time(), json.loads(record.value() or b"{}").get("catalog", "")))
    consumer.close()
