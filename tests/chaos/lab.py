"""One experiment: leads come in, something is broken on purpose, and everything is counted afterwards."""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from signal import SIGCONT, SIGKILL, SIGSTOP, Signals
from statistics import median, quantiles
from typing import Any, Final

from kafka.errors import KafkaError

from tests.chaos.account import Account
from tests.chaos.partners import Partners
from tests.chaos.tail import Tail
from tests.chaos.tiers import Tier
from tests.e2e.system import System, hot_lead, lukewarm_lead, student_lead
from tests.witness import Seen, eventually

SETTLED_WITHIN_S: Final = 240.0
_STUDENTS: Final = 0.15
_MAILS: Final = {"hot": 1, "lukewarm": 3, "student": 0}
_LEADS: Final = {"hot": hot_lead, "lukewarm": lukewarm_lead, "student": student_lead}
_CARRIED_OUT: Final = {"sent", "unknown", "rejected"}


@dataclass(frozen=True, kw_only=True)
class Result:
    """One row of the table in docs/guarantees.md."""

    fault: str
    what: str
    test: str
    seed: int
    injected: int
    leads: int
    lost: int
    duplicated: int
    to_a_person: int
    unknown_mails: int
    recovery_p50_s: float | None
    recovery_p95_s: float | None


@dataclass
class Lab:
    """The running stack, its partners, and what follows it."""

    system: System
    partners: Partners
    tail: Tail
    seed: int
    tier: Tier
    results: list[Result] = field(default_factory=list)

    def experiment(self, fault: str, what: str) -> Experiment:
        self.partners.model.behave()
        print(f"{fault}: seed {self.seed}; again with POINTSMAN_CHAOS_SEED={self.seed}")  # noqa: T201 - for people
        dice = random.Random(f"{self.seed}/{fault}")  # noqa: S311 - no secret hangs on it
        return Experiment(lab=self, fault=fault, what=what, dice=dice)


@dataclass
class Experiment:
    """Counts of one fault.

    Attributes:
        lab: where it runs.
        fault: number of the fault.
        what: the fault in words.
        dice: all chance of this experiment; the same for the same seed.
        workflows: address by workflow id; "" when there is no lead behind it.
        expected: mails that each lead is worth, by workflow id.
        lukewarm: share of leads that get a series of mails.
        injected: how often the fault happened.
        recoveries_s: seconds from each injection to the first work done on what came after it.
        began: monotonic time at which it began; nothing before it is looked at.
    """

    lab: Lab
    fault: str
    what: str
    dice: random.Random
    workflows: dict[str, str] = field(default_factory=dict)
    expected: dict[str, int] = field(default_factory=dict)
    lukewarm: float = 0.0
    injected: int = 0
    recoveries_s: list[float] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    _began_ms: int = field(default_factory=lambda: int(time.time() * 1000))
    _loads: list[threading.Thread] = field(default_factory=list)
    _load_errors: list[Exception] = field(default_factory=list)

    @property
    def system(self) -> System:
        return self.lab.system

    @property
    def tier(self) -> Tier:
        return self.lab.tier

    @property
    def mailed(self) -> set[str]:
        """Workflows of leads that are worth a mail."""
        return {workflow for workflow, mails in self.expected.items() if mails}

    def lead(self, kind: str = "", **fields: str) -> tuple[str, str]:
        """Insert one lead of a kind, by chance mostly one that is worth a mail, with some of its fields replaced."""
        chosen = kind or self._kinds(1)[0]
        workflow, address = self.system.insert({**_LEADS[chosen](), **fields})
        self.workflows[workflow] = address
        self.expected[workflow] = _MAILS[chosen]
        return workflow, address

    def _kinds(self, leads: int) -> list[str]:
        return self.dice.choices(list(_MAILS), [1 - _STUDENTS - self.lukewarm, self.lukewarm, _STUDENTS], k=leads)

    def dice_for_a_thread(self) -> random.Random:
        """Chance for somebody who draws at moments of his own."""
        return random.Random(self.dice.random())  # noqa: S311 - no secret hangs on it

    def load(self, leads: int = 0, *, over_s: float = 0.0) -> None:
        """Insert leads in the background, at random moments of about `over_s` seconds; by default as the tier says."""
        leads, over_s = leads or self.tier.leads, over_s or self.tier.load_s
        gaps = [self.dice.expovariate(leads / over_s) for _ in range(leads)]
        # All chance is drawn here: drawn on another thread, it would depend on who comes first.
        thread = threading.Thread(target=self._insert, args=(gaps, self._kinds(leads)), daemon=True)
        self._loads.append(thread)
        thread.start()

    def _insert(self, gaps: list[float], kinds: list[str]) -> None:
        try:
            for gap, kind in zip(gaps, kinds, strict=True):
                time.sleep(gap)
                self.lead(kind)
        except Exception as error:  # shown by `loaded`
            self._load_errors.append(error)

    def loaded(self) -> None:
        """Wait until all leads are in."""
        for thread in self._loads:
            thread.join(timeout=SETTLED_WITHIN_S)
            assert not thread.is_alive()
        assert self._load_errors == []

    def is_loading(self) -> bool:
        return any(thread.is_alive() for thread in self._loads)

    def send(self, event_type: str, payload: dict[str, Any]) -> str:
        """A message of a workflow without a lead."""
        workflow = self.system.send(event_type, payload)
        self.workflows[workflow] = ""
        return workflow

    def pause(self, least_s: float, most_s: float) -> None:
        """Let a random time pass."""
        time.sleep(self.dice.uniform(least_s, most_s))

    def kill(self, program: str, signal: Signals = SIGKILL) -> float:
        """Send `signal` to `program`, once it runs again after an earlier one; when that was."""
        hit = eventually(lambda: self.system.stack.kill(program, signal), within_s=60, what=f"a live {program}")
        self.injected += len(hit)
        return time.monotonic()

    @contextmanager
    def frozen(self, program: str) -> Iterator[float]:
        """`program` stands still (SIGSTOP), and wakes up afterwards; when it was stopped."""
        at = self.kill(program, SIGSTOP)
        try:
            yield at
        finally:
            self.system.stack.kill(program, SIGCONT)

    def stand_still_until(self, moment: float) -> None:
        """Let time pass up to a monotonic `moment`."""
        time.sleep(max(0.0, moment - time.monotonic()))

    def routing_again(self, since: float, *, within_s: float = 90) -> float:
        """Wait until a message written now is decided; the seconds since `since`, which are noted."""
        probe = eventually(self._probe, within_s=within_s, what="a broker that takes a message")
        seen = eventually(
            lambda: self._first(lambda one: one.topic == "agent_decisions" and one.workflow == probe),
            within_s=within_s, every_s=0.02, what="a decision on a message written after the fault",
        )  # fmt: skip
        self.recoveries_s.append(seen - since)
        return seen - since

    def agent_again(self, agent: str, since: float, *, within_s: float = 60) -> None:
        """Wait until `agent` has answered a message that was routed to it after `since`; the seconds are noted."""
        seen = eventually(
            lambda: self._answered_after(agent, since), within_s=within_s, every_s=0.05, what=f"work of {agent}"
        )
        self.recoveries_s.append(seen - since)

    def _answered_after(self, agent: str, since: float) -> float:
        """When `agent` answered a message that was routed after `since`; 0 when it has not."""
        later = self.lab.tail.arrivals(since)
        routed = {one.header("ce_id") for _, one in later if one.topic == f"agents.{agent}.inbox"}
        answers = (at for at, one in later if one.topic == "agent_messages" and one.header("ce_causationid") in routed)
        return next(answers, 0.0)

    def _probe(self) -> str:
        try:
            return self.send("email.sent", {"probe": self.fault})
        except (KafkaError, OSError):  # the broker may be what is down
            return ""

    def _first(self, wanted: Callable[[Seen], bool]) -> float:
        """When the first record that is `wanted` was seen; 0 when none was."""
        return next((at for at, one in self.lab.tail.arrivals(self.began) if wanted(one)), 0.0)

    def back_within(self, most_s: float) -> bool:
        """Whether work went on within `most_s` seconds of an injection, at the median; the tier may not hold times."""
        return median(self.recoveries_s) <= most_s or not self.tier.holds_times

    def account(self, seen: list[Seen] | None = None, *, repeats_delivered: bool = False) -> Account:
        records = self.lab.tail.records(self.began) if seen is None else seen
        return Account(records, list(self.lab.partners.mail.mails), dict(self.workflows), repeats_delivered)

    def finish(self, *, within_s: float = SETTLED_WITHIN_S, repeats_delivered: bool = False) -> Account:
        """Wait until every workflow is at an end, count once more what the topics hold since the start, and judge."""
        self.loaded()
        self._settle(within_s)
        counted = sorted(filter(is_counted, self.system.witness.topics()))
        everything = self.system.witness.read(*counted, since_ms=self._began_ms)
        account = self.account(everything, repeats_delivered=repeats_delivered)
        lost, duplicated = self._lost(account), account.duplicated()
        self._note(account, len(lost), len(duplicated))
        assert self.injected > 0, f"{self.fault} did not happen, so this run proves nothing"
        assert lost == [], "\n".join(lost)
        assert duplicated == [], "\n".join(duplicated)
        return account

    def _settle(self, within_s: float) -> None:
        deadline = time.monotonic() + within_s
        while self._is_unfinished() and time.monotonic() < deadline:
            time.sleep(0.5)

    def _is_unfinished(self) -> bool:
        account = self.account()
        return bool(account.open() or self._lost(account))

    def _lost(self, account: Account) -> list[str]:
        lost = [f"{workflow} waits for {missing}" for workflow, missing in account.open().items()]
        heard = set(account.to_a_person())
        for workflow in self.mailed - heard:
            mails, effects = self.lab.partners.mail.to(self.workflows[workflow]), self.system.effects(workflow)
            ended = sum(effect in _CARRIED_OUT for effect in effects)
            if ended < self.expected[workflow] or len(mails) < effects.count("sent"):
                lost.append(
                    f"{workflow} has {len(mails)} of {self.expected[workflow]} mails, its effects are {effects}"
                )
        return lost

    def unknown_mails(self) -> int:
        """Mails of these workflows that the ledger shows a person as unknown."""
        return sum(self.system.effects(workflow).count("unknown") for workflow in self.mailed)

    def _note(self, account: Account, lost: int, duplicated: int) -> None:
        result = Result(
            fault=self.fault, what=self.what, test=_current_test(), seed=self.lab.seed, injected=self.injected,
            leads=sum(bool(address) for address in self.workflows.values()), lost=lost, duplicated=duplicated,
            to_a_person=len(account.to_a_person()), unknown_mails=self.unknown_mails(),
            recovery_p50_s=_percentile(self.recoveries_s, 50), recovery_p95_s=_percentile(self.recoveries_s, 95),
        )  # fmt: skip
        self.lab.results.append(result)
        ends, reasons = dict(account.last_types()), dict(account.reasons())
        print(f"{result}\nends: {ends}\nreasons: {reasons}")  # noqa: T201 - for people


def is_counted(topic: str) -> bool:
    """Topics on which an experiment leaves traces."""
    return topic.endswith(".inbox") or topic in {"agent_messages", "agent_decisions", "agent_escalations",
                                                 "agent_errors"}  # fmt: skip


def _percentile(values: list[float], percent: int) -> float | None:
    if not values:
        return None
    return round(values[0] if len(values) == 1 else quantiles(values, n=100, method="inclusive")[percent - 1], 2)


def _current_test() -> str:
    """File and name of the test that runs."""
    return os.environ["PYTEST_CURRENT_TEST"].rpartition("/")[2].partition(" ")[0]
