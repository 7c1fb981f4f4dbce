"""P12: a model provider on a bad day."""

from __future__ import annotations

from bench.flink_systems import ASYNC_TUNED, FAST_ROUTER, HAS_FAST_MODE, ML_PREDICT, ROUTER
from bench.measuring import Load
from bench.process_systems import FAUST_TUNED, PLAIN, PLAIN_SAME_CLIENT
from bench.results_file import Report, machine
from bench.session import Entrant, Session
from bench.systems import System, Workload

TITLE = "A provider on a bad day"
MINUTES = 6.0
RATE = 50.0


def run(session: Session) -> Report:
    """The same rate with and without faults."""
    report = Report(
        benchmark="P12", title=TITLE, machine=machine(session.bed.cores),
        what=f"{RATE:g} messages per second at 200 ms, without faults and with these: 10 % of the calls get 429 and "
        "Retry-After: 1, 5 % get 500, 1 % are never answered (time-out 3 s); for 0.5 % of the messages every answer "
        "is no JSON. Goodput is the share routed by three seconds after the last message was due. A message without a "
        "usable answer counts as astray: the router gives it to a person, the rivals to `nobody`. `restarts` are those "
        "of a Flink job so far.",
    )  # fmt: skip
    seconds = session.seconds(8, 5)
    loads = {
        "no faults": Load.steady(RATE, seconds),
        "faults": Load.steady(RATE, seconds, how="faults", drain_s=40),
    }
    slow = {"no faults": Load.steady(10, seconds), "faults": Load.steady(10, seconds, how="faults", drain_s=40)}
    workload = Workload(timeout_s=3.0)
    systems: list[System] = [ROUTER, *([FAST_ROUTER] if HAS_FAST_MODE else []), PLAIN, PLAIN_SAME_CLIENT]
    systems += [FAUST_TUNED, ASYNC_TUNED]
    entrants = [Entrant(system=one, workload=workload, loads=loads) for one in systems]
    entrants.append(Entrant(system=ML_PREDICT, workload=workload, loads=slow))
    session.interleaved(report, entrants)
    return report
