"""The command of the suite: `python -m bench run`, `python -m bench profile`, `python -m bench page`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from bench.benchmarks import ALL as SUITE
from bench.pinning import split
from bench.results_file import RESULTS, Report
from bench.session import EXPECTED_TROUBLE, Session
from bench.testbed import WORK, open_testbed

LONG = ("P13", "P14")
SMOKE = ("P2",)


def main() -> int:
    """Run benchmarks or make the page; 1 when a benchmark found nothing, 2 when the arguments are wrong."""
    given = _arguments()
    # Whoever ends it wants broker and clusters to end with it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if given.command == "page":
        from bench.page import write_page

        sys.stdout.write(f"{write_page()}\n")
        return 0
    wanted = _wanted(given)
    unknown = [name for name in wanted if name not in SUITE]
    if unknown:
        sys.stderr.write(f"bench: there is no {', '.join(unknown)}; there are {', '.join(SUITE)}\n")
        return 2
    return 0 if (_profile if given.command == "profile" else _run)(given, wanted) else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("run", help="measure, and write bench/results/P*.json")
    run.add_argument("--only", action="append", default=[], metavar="P2", help="this benchmark; may be repeated")
    run.add_argument("--systems", action="append", default=[], metavar="NAME", help="only those called so at first")
    run.add_argument("--repeats", type=int, default=5)
    run.add_argument("--short", action="store_true", help="smaller loads, for a look")
    run.add_argument("--smoke", action="store_true", help="tiny loads, for breakage and not for figures")
    run.add_argument("--long", action="store_true", help=f"{' and '.join(LONG)} instead of the others")
    taken = commands.add_parser("profile", help="see where a benchmark's time goes: bench/results/profile-P*.json")
    taken.add_argument("only", nargs="+", metavar="P2", help="of these benchmarks")
    taken.add_argument("--short", action="store_true", help="for a few seconds only")
    commands.add_parser("page", help="write docs/performance.md and its plots from the result files")
    return parser.parse_args()


def _wanted(given: argparse.Namespace) -> list[str]:
    if given.only:
        return [name.upper() for name in given.only]
    if given.smoke:
        return list(SMOKE)
    return [name for name in SUITE if (name in LONG) == given.long]


def _run(given: argparse.Namespace, wanted: list[str]) -> bool:
    repeats = 1 if given.smoke else given.repeats
    minutes = sum(_minutes(name, repeats) for name in wanted)
    if not given.smoke:
        sys.stderr.write(f"{', '.join(wanted)} with {repeats} repeats: about {minutes:.0f} minutes\n")
    # Figures of a smoke run must not pass for figures.
    results = WORK / "smoke" if given.smoke else RESULTS
    found = [_one(name, given, repeats, results) for name in wanted]
    return all(found)


def _minutes(name: str, repeats: int) -> float:
    """Its modules say what three repeats take; half a minute of that is starting everything."""
    return 0.5 + (SUITE[name].minutes - 0.5) * repeats / 3


def _profile(given: argparse.Namespace, wanted: list[str]) -> bool:
    from bench.profiled import profile

    told = {"repeats": 1, "results": RESULTS, "short": given.short}
    return all([_on_a_testbed(name, told, partial(profile, name)) for name in wanted])


def _one(name: str, given: argparse.Namespace, repeats: int, results: Path) -> bool:
    told = {"repeats": repeats, "results": results, "short": given.short, "smoke": given.smoke}
    return _on_a_testbed(name, {**told, "systems": tuple(given.systems)}, SUITE[name].run)


def _on_a_testbed(name: str, told: dict[str, Any], measure: Callable[[Session], Report]) -> bool:
    """Run on a test bed of its own; whether anything was found and, in a smoke run, nothing failed."""
    began = time.monotonic()
    try:
        bed = open_testbed(split(frozenset(os.sched_getaffinity(0))))
    except EXPECTED_TROUBLE as error:
        sys.stderr.write(f"{name}: broker and model do not start: {error}\n")
        return False
    try:
        session = Session(bed=bed, **told)
        report = measure(session)
        file = report.write(session.results)
    except EXPECTED_TROUBLE as error:
        sys.stderr.write(f"{name}: {type(error).__name__}: {error}\n")
        return False
    finally:
        bed.close()
    sys.stderr.write(f"{name}: {len(report.rows)} runs in {time.monotonic() - began:.0f} s, see {file}\n")
    is_void = any(row.get("void") for row in report.rows)
    return bool(report.rows) and not (session.smoke and (report.failures or is_void))


if __name__ == "__main__":
    sys.exit(main())
