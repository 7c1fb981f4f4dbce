"""What each benchmark is to come to, and whether it did. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from bench.figures import COMMITTED_P50, P50, P90, P99

_OURS: Final = "Pointsman"
_FAST: Final = "Pointsman, fast"
_LOCAL: Final = "Pointsman, local model first"


@dataclass(frozen=True, kw_only=True)
class Target:
    """A figure and its bound.

    Attributes:
        said: the target in words.
        figure: a column of the benchmark's table, or a count of it (`lost`).
        at_most: the bound from above.
        at_least: the bound from below.
        system: whose figure.
        load: under which load; empty: under each, and the worst counts.
        by: the figure is divided by that of this system, under the same load.
        by_load: the figure is divided by that of the same system under this load.
        less_load: that of the same system under this load is taken off.
    """

    said: str
    figure: str
    at_most: float = float("inf")
    at_least: float = float("-inf")
    system: str = _OURS
    load: str = ""
    by: str = ""
    by_load: str = ""
    less_load: str = ""

    def values(self, lines: Sequence[Mapping[str, Any]]) -> list[float]:
        """What was measured, under each load that it is about; nothing where a part is missing."""
        figures = {(line["system"], line["load"]): line.get(self.figure) for line in lines}
        loads = [self.load] if self.load else list(dict.fromkeys(line["load"] for line in lines))
        found = (self._value(figures, load) for load in loads if load != self.less_load)
        return [value for value in found if value is not None]

    def _value(self, figures: Mapping[tuple[str, str], float | None], load: str) -> float | None:
        own = figures.get((self.system, load))
        if self.less_load:
            other = figures.get((self.system, self.less_load))
            return None if own is None or other is None else own - other
        if not self.by and not self.by_load:
            return own
        below = figures.get((self.by or self.system, self.by_load or load))
        return own / below if own is not None and below else None


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A target and what came of it.

    Attributes:
        target: the target.
        value: the worst that was measured; None: nothing was.
    """

    target: Target
    value: float | None

    @property
    def is_missed(self) -> bool:
        """Whether it was measured and is out of bounds."""
        return self.value is not None and not self.target.at_least <= self.value <= self.target.at_most

    @property
    def words(self) -> str:
        """`met`, `missed` or `not measured`, with the figure."""
        if self.value is None:
            return "not measured"
        digits = f"{self.value:,.0f}" if abs(self.value) >= 100 else f"{self.value:.2f}"
        return f"**missed** ({digits})" if self.is_missed else f"met ({digits})"


def judged(targets: Sequence[Target], lines: Sequence[Mapping[str, Any]]) -> list[Verdict]:
    """Each target held against the lines of a table."""
    return [Verdict(target=target, value=_worst(target, target.values(lines))) for target in targets]


def _worst(target: Target, values: Sequence[float]) -> float | None:
    if not values:
        return None
    return max(values) if target.at_most < float("inf") else min(values)


TARGETS: Final[Mapping[str, tuple[Target, ...]]] = MappingProxyType(
    {
        "P1": (
            Target(said="3,000/s held at 200 ms", figure="held, /s", load="model 200 ms", at_least=3000),
            Target(said="8,000/s held by contract", figure="held, /s", load="contract only", at_least=8000),
            Target(
                said="100 times ML_PREDICT at 200 ms", figure="held, /s", load="model 200 ms",
                by="Flink SQL ML_PREDICT", at_least=100,
            ),
            Target(
                said="100 times ML_PREDICT at 1 s", figure="held, /s", load="model 1000 ms", by="Flink SQL ML_PREDICT",
                at_least=100,
            ),
            Target(
                said="1.2 times faust, tuned", figure="held, /s", load="model 200 ms", by="faust-streaming, tuned",
                at_least=1.2,
            ),
            Target(
                said="0.9 times the plain loop with the same client", figure="held, /s", load="model 200 ms",
                by="plain loop, router's client", at_least=0.9,
            ),
        ),
        "P2": (
            Target(said="8 ms at p50", figure=P50, at_most=8),
            Target(said="20 ms at p99", figure=P99, at_most=20),
            Target(
                said="20 times less than AsyncDataStream, tuned", figure=P50, system="AsyncDataStream, tuned", by=_OURS,
                at_least=20,
            ),
        ),
        "P3": (
            Target(said="p90 moves by 10 ms at most", figure=P90, less_load="no slow call", at_most=10),
            Target(
                said="everything is served beside slow calls", figure="served, %", load="2 % take 2 s", at_least=100
            ),
        ),
        "P4": (Target(said="48 ms at p50 over the model's own time, fast", figure=P50, system=_FAST, at_most=48),),
        "P5": (
            Target(
                said="half of a second and 20 ms with exactly once", figure=COMMITTED_P50,
                load="checkpoints every 1000 ms", at_most=520,
            ),
            Target(
                said="half of 200 ms and 20 ms with exactly once", figure=COMMITTED_P50,
                load="checkpoints every 200 ms", at_most=120,
            ),
            Target(said="10 ms in fast mode", figure=P50, system=_FAST, at_most=10),
        ),
        "P6": (
            Target(
                said="1.8 times with two TaskManagers", figure="burst, /s", system=f"{_FAST}, 2", by=f"{_FAST}, 1",
                load="burst", at_least=1.8,
            ),
        ),
        "P7": (
            Target(
                said="500 agents cost 1.4 times the tokens of 5", figure="prompt tokens", system="all take it",
                load="500 agents", by_load="5 agents", at_most=1.4,
            ),
            Target(
                said="1 point of accuracy at most is lost with the shortlist, by the stand-in", figure="points lost",
                system="labelled, shortlist", at_most=1.0,
            ),
            Target(
                said="300 µs per decision among 500 agents", figure="CPU µs per decision", system="all take it",
                load="500 agents", at_most=300,
            ),
            Target(
                said="500 agents cost 1.4 times the tokens of 5, labelled messages", figure="prompt tokens",
                system="labelled, shortlist", load="500 agents", by_load="5 agents", at_most=1.4,
            ),
            Target(
                said="1 point at most is lost from 5 to 500 agents, by a perfect model", figure="reachable, %",
                system="labelled, shortlist", load="500 agents", less_load="5 agents", at_least=-1.0,
            ),
            Target(
                said="1 point at most is lost from 5 to 500 agents, by the stand-in", figure="right, %",
                system="labelled, shortlist", load="500 agents", less_load="5 agents", at_least=-1.0,
            ),
            Target(said="an edit is in use within 2 s", figure="edit to use, s", system="all take it", at_most=2),
        ),
        "P8": (
            Target(said="1.3 kB per workflow", figure="bytes per workflow", load="100000 in flight", at_most=1300),
            Target(said="checkpoints of 1 s", figure="checkpoint, ms", at_most=1000),
            Target(
                said="1.2 times the p99 of 1,000 in flight", figure=P99, load="100000 in flight",
                by_load="1000 in flight", at_most=1.2,
            ),
        ),
        "P9": (
            Target(said="5 s of silence", figure="longest silence, s", load="killed", at_most=5),
            Target(said="nothing lost", figure="lost", at_most=0),
        ),
        "P10": (
            Target(
                said="half the model calls", figure="model calls per message", load="all", system=_OURS,
                by="model always, all agents in the prompt", at_most=0.5,
            ),
            Target(
                said="a fifth of the tokens", figure="tokens per message", load="all", system=_OURS,
                by="model always, all agents in the prompt", at_most=0.2,
            ),
            Target(
                said="a fifth of the billed tokens", figure="billed tokens per message", load="all", system=_OURS,
                by="model always, all agents in the prompt", at_most=0.2,
            ),
            Target(said="at no loss of accuracy, by the stand-in", figure="points lost", load="all", at_most=0),
            Target(
                said="nor by the local model first", figure="points lost", load="all", system=_LOCAL, at_most=0
            ),
            Target(
                said="half the model calls of a lead's way", figure="model calls per message", load="a lead's way",
                system=_OURS, by="model always, all agents in the prompt", at_most=0.5,
            ),
            Target(
                said="a fifth of the billed tokens of a lead's way", figure="billed tokens per message",
                load="a lead's way", system=_OURS, by="model always, all agents in the prompt", at_most=0.2,
            ),
        ),
        "P11": (Target(said="100 µs per call", figure="CPU µs per call", at_most=100),),
        "P12": (
            Target(
                said="0.9 of the goodput without faults", figure="served, %", load="faults", by_load="no faults",
                at_least=0.9,
            ),
            Target(said="no restart of the job", figure="restarts", at_most=0),
        ),
        "P13": (Target(said="10 s", figure="seconds", at_most=10),),
        "P14": (
            Target(
                said="1 % more memory per ten minutes", figure="memory, MiB", system=_FAST, load="part 6",
                by_load="part 2", at_most=1.02,
            ),
            Target(said="everything is served in time", figure="served, %", system=_FAST, at_least=99),
            Target(said="nothing lost", figure="lost", system=_FAST, at_most=0),
        ),
    }
)  # fmt: skip
