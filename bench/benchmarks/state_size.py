"""P8: what workflows that wait for the model cost in state."""

from __future__ import annotations

from typing import Any, Final

from bench.flink_systems import ROUTER
from bench.measuring import Load, offer
from bench.programs import rss_bytes, wait_for
from bench.results_file import Report, machine
from bench.session import EXPECTED_TROUBLE, Entrant, Live, Session
from bench.systems import Workload
from pointsman.flink_rest import FlinkRest

TITLE = "Workflows that wait"
MINUTES = 4.0
WAITING: Final = (1000, 10_000, 50_000)
_RATE: Final = 2000.0


def run(session: Session) -> Report:
    """Messages whose model call takes ten minutes, and the checkpoints that hold them."""
    report = Report(
        benchmark="P8", title=TITLE, machine=machine(session.bed.cores),
        what="Messages of 600 bytes of payload, each of a workflow of its own, whose model call takes ten minutes: "
        "size of the checkpoint beyond that of the idle job by waiting message, and how long the checkpoint takes.",
    )  # fmt: skip
    workload = Workload(model="l0", concurrency=2000, timeout_s=600)
    counts = [count for count in WAITING if count <= session.seconds(100_000, 10_000, 1000)]
    for turn in range(min(session.repeats, 3)):
        for count in counts:
            with session.started(report, [Entrant(system=ROUTER, workload=workload, loads={})]) as lives:
                for live in lives:
                    try:
                        line = _waiting(session, live, count)
                    except EXPECTED_TROUBLE as error:
                        report.failed(f"{count} waiting", error)
                        continue
                    report.rows.append({"system": ROUTER.name, "load": f"{count} waiting", "repeat": turn, **line})
                    session.say(f"P8 {count} waiting: {line}")
    return report


def _waiting(session: Session, live: Live, count: int) -> dict[str, float]:
    empty = _next_checkpoint(live)
    before = session.bed.model.counters()["calls"]
    offer(session.bed, live.running, Load(rate=_RATE, count=count, how="l600000"))
    first = min(count, live.entrant.workload.concurrency)
    wait_for("the first calls", lambda: session.bed.model.counters()["calls"] - before >= first, 60)
    full = _settled(live)
    return {
        "bytes_each": (full["state_size"] - empty["state_size"]) / count,
        "checkpoint_took_ms": full["end_to_end_duration"],
        "rss_mib": rss_bytes(live.running.processes()) >> 20,
    }


def _settled(live: Live) -> dict[str, Any]:
    """The first checkpoint that is no larger than the one before: by then all messages are in."""
    last = _next_checkpoint(live)
    while (following := _next_checkpoint(live))["state_size"] > last["state_size"]:
        last = following
    return following


def _next_checkpoint(live: Live) -> dict[str, Any]:
    """The next checkpoint that completes."""
    before, found = _newest(live), {}

    def is_there() -> bool:
        found.update(_newest(live))
        return bool(found.get("id", 0) > before.get("id", 0))

    wait_for("a checkpoint", is_there, 60, every_s=0.2)
    return found


def _newest(live: Live) -> dict[str, Any]:
    if live.running.flink is None:
        return {}
    cluster, job_id = live.running.flink
    latest: dict[str, Any] = FlinkRest(cluster.url).get(f"/jobs/{job_id}/checkpoints")["latest"]["completed"] or {}
    return latest
