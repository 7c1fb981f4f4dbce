"""What a receiver of traces that goes away changes: leads per minute at saturation, processor time per lead.

    taskset -c 2,3 python -m bench.telemetry_outage --turns 60 --out bench/results/telemetry-outage.json

One stack; the receiver listens and is gone in turns (A B B A A B ...), so that what else the machine does meets both
alike. So many leads are always under way that the loop is saturated (closed loop). Every lead must arrive exactly once,
or the run is void. A ratio is of the sums over all turns; its interval is a bootstrap's over pairs of turns. What feeds
and what receives spans has the cores that the loop does not have, where there are some.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from email import message_from_bytes, policy
from pathlib import Path
from threading import Event
from typing import Any, Final

from pymongo import MongoClient

from bench.loop import LEAD, ROOT
from pointsman.local import LocalStack, StackOptions

UNDER_WAY: Final = 60
WARM_UP: Final = 200
SETTLED_WITHIN_S: Final = 120.0
SEED: Final = 1
_RESAMPLES: Final = 2000


def main() -> None:
    """Measure all turns and print the result as JSON."""
    options = _options()
    loop = os.sched_getaffinity(0)
    receiver = Receiver(other_cores(loop))
    os.environ["POINTSMAN_MAIL_DAILY_CAP"] = "1000000"
    os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"] = receiver.url
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
        stack = LocalStack(
            StackOptions(
                data_dir=Path(folder) / "data", jars_dir=ROOT / ".pointsman" / "jars", free_ports=True,
                definitions_dir=ROOT / "agent_definitions",
            )
        )  # fmt: skip
        try:
            stack.up()
            with MongoClient[dict[str, Any]](stack.addresses.mongodb_uri) as client:
                feed = Feed(client["sdr"]["leads"], stack.options.data_dir / "mailbox")
                os.sched_setaffinity(0, other_cores(loop))
                turns = _turns(stack, feed, receiver, options)
                feed.settle()
        finally:
            receiver.vanish()
            stack.down()
    result = {
        "turns": options.turns, "turn_s": options.turn_s, "under_way": UNDER_WAY, "leads": len(feed.addresses),
        "cores": len(loop), "python": platform.python_version(),
        **{each.name: compared(turns, each.name) for each in fields(Turn)},
    }  # fmt: skip
    text = json.dumps(result, indent=2)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--turns", type=int, default=10, help="turns of each kind")
    parser.add_argument("--turn-s", type=float, default=20.0, help="seconds of a turn")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


@dataclass(frozen=True, kw_only=True)
class Turn:
    """What was seen in one turn.

    Attributes:
        leads_per_minute: mails that arrived.
        processor_s_per_lead: processor time of all processes of the stack, by mails that arrived.
    """

    leads_per_minute: float
    processor_s_per_lead: float


def _turns(stack: LocalStack, feed: Feed, receiver: Receiver, options: argparse.Namespace) -> dict[str, list[Turn]]:
    turns: dict[str, list[Turn]] = {"answers": [], "gone": []}
    receiver.appear()
    feed.until(lambda: len(feed.addresses) >= WARM_UP)
    for number in range(options.turns * 2):
        # A B B A: what drifts with time meets both kinds alike.
        kind = ("answers", "gone", "gone", "answers")[number % 4]
        receiver.appear() if kind == "answers" else receiver.vanish()
        turns[kind].append(_turn(stack, feed, options.turn_s))
        sys.stderr.write(f"{kind}: {turns[kind][-1]}\n")
    return turns


def _turn(stack: LocalStack, feed: Feed, turn_s: float) -> Turn:
    began, before, used = time.monotonic(), feed.arrived(), _processor_s(stack)
    feed.until(lambda: time.monotonic() >= began + turn_s)
    arrived, lasted = feed.arrived() - before, time.monotonic() - began
    return Turn(
        leads_per_minute=round(arrived / lasted * 60, 1),
        processor_s_per_lead=round((_processor_s(stack) - used) / arrived, 4),
    )


def _processor_s(stack: LocalStack) -> float:
    times = [process.cpu_times() for process in stack.processes()]
    return sum(each.user + each.system for each in times)


def other_cores(cores: set[int]) -> set[int]:
    """Those that the machine has besides; the same where it has no others."""
    return set(range(os.cpu_count() or 1)) - cores or cores


class Feed:
    """Keeps leads under way: for each mail that arrives, another lead is inserted.

    Args:
        leads: the collection of leads.
        mailbox: folder of the mail sink.

    Attributes:
        addresses: of all leads so far.
    """

    def __init__(self, leads: Any, mailbox: Path) -> None:
        self._leads = leads
        self._mailbox = mailbox
        self.addresses: list[str] = []

    def arrived(self) -> int:
        """Number of mails so far."""
        return sum(entry.name.endswith(".eml") for entry in os.scandir(self._mailbox))

    def until(self, is_over: Callable[[], bool]) -> None:
        """Feed until `is_over()`."""
        pause = Event()
        while not is_over():
            for _ in range(UNDER_WAY - (len(self.addresses) - self.arrived())):
                self.addresses.append(f"{uuid.uuid4().hex[:12]}@customer.example")
                self._leads.insert_one({**LEAD, "email": self.addresses[-1]})
            pause.wait(0.1)

    def settle(self) -> None:
        """Wait for the last mails; one that is missing, or came twice, voids the run."""
        deadline, pause = time.monotonic() + SETTLED_WITHIN_S, Event()
        while self.arrived() < len(self.addresses) and time.monotonic() < deadline:
            pause.wait(0.2)
        mails = [message_from_bytes(file.read_bytes(), policy=policy.default) for file in self._mailbox.glob("*.eml")]
        arrived, inserted = Counter(str(mail["To"]) for mail in mails), Counter(self.addresses)
        lost, more = (inserted - arrived).total(), (arrived - inserted).total()
        if lost or more:
            sys.exit(f"void: of {inserted.total()} leads {lost} were lost; {more} mails were too many")


class Receiver:
    """Takes spans and forgets them, or is not there; its address stays the same.

    Args:
        cores: where it runs.
    """

    def __init__(self, cores: set[int]) -> None:
        self._cores = cores
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self._port: int = probe.getsockname()[1]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where it listens when it does."""
        return f"http://127.0.0.1:{self._port}"

    def appear(self) -> None:
        """Listen."""
        if self._process is None:
            command = [sys.executable, "-m", "bench.telemetry_receiver", str(self._port)]
            self._process = subprocess.Popen(command, cwd=ROOT)  # noqa: S603 - our own program
            os.sched_setaffinity(self._process.pid, self._cores)

    def vanish(self) -> None:
        """Listen no more: whoever connects is refused."""
        if self._process:
            self._process.terminate()
            self._process.wait()
            self._process = None


def compared(turns: Mapping[str, Sequence[Turn]], figure: str) -> dict[str, Any]:
    """One figure of all turns, and how many times as much it is while the receiver is gone."""
    answers, gone = ([getattr(each, figure) for each in turns[kind]] for kind in ("answers", "gone"))
    ratio = round(sum(gone) / sum(answers), 3)
    return {"answers": answers, "gone": gone, "gone_to_answers": ratio, "interval_95": interval(answers, gone)}


def interval(answers: Sequence[float], gone: Sequence[float]) -> tuple[float, float]:
    """The middle 95 % of the ratio over resamples of the pairs of turns (percentile bootstrap)."""
    dice, pairs = random.Random(SEED), list(zip(answers, gone, strict=True))  # noqa: S311 - no secret hangs on it
    ratios = []
    for _ in range(_RESAMPLES):
        drawn = dice.choices(pairs, k=len(pairs))
        ratios.append(sum(pair[1] for pair in drawn) / sum(pair[0] for pair in drawn))
    low, *_, high = statistics.quantiles(ratios, n=40)
    return round(low, 3), round(high, 3)


if __name__ == "__main__":
    main()
