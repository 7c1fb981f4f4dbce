"""P11: what a model call costs in processor time, by client."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, Final

from bench.programs import ROOT, BenchError, end, start
from bench.results_file import Report, machine
from bench.session import EXPECTED_TROUBLE, Session
from bench.venvs import python_of

TITLE = "Cost of a model call"
MINUTES = 5.0
_MOCK_ALONE: Final = "bare sockets"
CLIENTS: Final = ("Pointsman", _MOCK_ALONE, "aiohttp", "openai", "openai, aiohttp transport", "litellm")
_LOADS: Final = ((1, 0, 200), (64, 0, 1000), (500, 200, 1000), (2000, 200, 2000))
"""Calls in flight, milliseconds of the model, calls."""
_MORE_CALLS: Final = 10
_WITHIN_S: Final = 90.0


def run(session: Session) -> Report:
    """Each client in a process of its own that does nothing but ask."""
    report = Report(
        benchmark="P11", title=TITLE, machine=machine(session.bed.cores),
        what="A process that does nothing but ask the model, about 2 kB per question, with a strict answer schema. "
        "Pointsman's client holds each answer against the schema, the others take what comes. Bare sockets send one "
        "request again and again and look at no answer: their calls per second are what the mock can serve.",
    )  # fmt: skip
    for turn in range(session.repeats):
        for client in (one for one in CLIENTS if one.startswith(session.systems or "")):
            for in_flight, latency_ms, count in _LOADS:
                load = f"{in_flight} in flight, {latency_ms} ms"
                plan = {"client": client, "in_flight": in_flight, "url": session.bed.model.url(f"l{latency_ms}")}
                calls = count * session.seconds(1, 0.3, 0.1) * (_MORE_CALLS if client == _MOCK_ALONE else 1)
                try:
                    found = _measured(session, {**plan, "count": round(calls)})
                except EXPECTED_TROUBLE as error:
                    report.failed(f"{client}, {load}", error)
                    continue
                over = {"p99_over_ms": found["p99_ms"] - latency_ms}
                report.rows.append({"system": client, "load": load, "repeat": turn, **found, **over})
                session.say(f"P11 {client}, {load}: {found['cpu_us']:.0f} µs, {found['calls_per_s']:.0f}/s")
        report.write(session.results)
    return report


def _measured(session: Session, plan: dict[str, Any]) -> dict[str, Any]:
    python = str(python_of("litellm")) if plan["client"] == "litellm" else sys.executable
    script = str(ROOT / "bench" / "rivals" / "client_cost.py")
    # litellm would look for prices on the network each time.
    env = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    process = start([python, script, json.dumps(plan)], session.bed.cores.system, env=env, stdout=subprocess.PIPE)
    try:
        said, _ = process.communicate(timeout=_WITHIN_S)
    except subprocess.TimeoutExpired:
        raise BenchError(f"it did not come to its end within {_WITHIN_S:g} s") from None
    finally:
        end(process)
    if process.returncode != 0:
        raise BenchError(f"it ended with {process.returncode}")
    found: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    if found["lost"]:
        raise BenchError(f"{found['lost']} of {plan['count']} calls failed: {', '.join(found['errors'])}")
    return found
