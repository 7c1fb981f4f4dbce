"""P8: what workflows in flight cost in state, and what that state does to the messages of others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from bench.catalogs import CONTRACT_ONLY_TYPE, agents
from bench.flink_systems import ROUTER
from bench.measuring import Load
from bench.programs import BenchError, wait_for
from bench.results_file import Report, machine
from bench.session import EXPECTED_TROUBLE, Entrant, Live, Session, row
from bench.systems import Workload
from pointsman.flink_rest import FlinkRest

TITLE = "Workflows in flight"
MINUTES = 14.0
IN_FLIGHT: Final = (1000, 10_000, 100_000)
_LATENCY_MS: Final = 200
_RATE: Final = 200.0
_SLOWEST_PER_S: Final = 200.0


def run(session: Session) -> Report:
    """More and more workflows that wait for their agents; at each step checkpoints, and the latency of new messages."""
    report = Report(
        benchmark="P8", title=TITLE, machine=machine(session.bed.cores),
        what="Workflows that have begun and wait for their agent, one message of 600 bytes each: size of the "
        "checkpoint beyond that of a job that has seen a few messages, by workflow; then, under 200 new messages per "
        f"second with a model of {_LATENCY_MS} ms, how long the latest checkpoint took and what the router adds to the "
        "model's time.",
    )  # fmt: skip
    entrant = Entrant(system=ROUTER, workload=Workload(model=f"l{_LATENCY_MS}"), loads={})
    for turn in range(session.repeats):
        with session.started(report, [entrant]) as lives:
            for live in lives:
                try:
                    _grow(session, report, live, turn)
                except EXPECTED_TROUBLE as error:
                    report.failed(ROUTER.name, error)
                    session.say(f"P8: {error}")
        report.write(session.results)
    return report


def _grow(session: Session, report: Report, live: Live, turn: int) -> None:
    empty = _next_checkpoint(live)["state_size"]
    for before, count in pairwise((0, *_counts(session))):
        _begin(live, count - before)
        # The one under way when the last of them was routed need not hold it.
        _next_checkpoint(live)
        size = _next_checkpoint(live)["state_size"]
        found = live.measure(Load.steady(_RATE, session.seconds(5, 3)))
        line = row(ROUTER, live.entrant.workload, f"{count} in flight", turn, found)
        line["bytes_each"] = (size - empty) / count
        line["checkpoint_took_ms"] = _newest(live)["end_to_end_duration"]
        report.rows.append(line)
        told = {name: line[name] for name in ("bytes_each", "checkpoint_took_ms", "rss_mib")}
        session.say(f"P8 {count} in flight: {told}, {line['latency_ms']}")


def _counts(session: Session) -> Iterator[int]:
    return (count for count in IN_FLIGHT if count <= session.seconds(100_000, 10_000, 1000))


def _begin(live: Live, count: int) -> None:
    """`count` messages, each of a workflow of its own, that go to an agent without a model being asked."""
    load = Load(
        rate=0, count=count, how="l0", kind=CONTRACT_ONLY_TYPE, agent=agents()[0].name, drain_s=count / _SLOWEST_PER_S
    )
    found = live.measure(load)
    if not found.is_drained:
        raise BenchError(f"{found.figures['lost']} of {count} messages did not come out")


def _next_checkpoint(live: Live) -> Mapping[str, Any]:
    """The next checkpoint that completes."""
    before = _newest(live).get("id", 0)
    wait_for("a checkpoint", lambda: _newest(live).get("id", 0) > before, 60, every_s=0.2)
    return _newest(live)


def _newest(live: Live) -> Mapping[str, Any]:
    if live.running.flink is None:
        return {}
    cluster, job_id = live.running.flink
    latest: Mapping[str, Any] = FlinkRest(cluster.url).get(f"/jobs/{job_id}/checkpoints")["latest"]["completed"] or {}
    return latest
