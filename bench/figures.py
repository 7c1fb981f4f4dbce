"""Which figures of a run stand in the table of its benchmark. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

from bench.systems import COMMITTED, UNCOMMITTED

_Figure = Callable[[Mapping[str, Any]], float | None]


def _over_model(percentile: str, view: str) -> _Figure:
    def figure(row: Mapping[str, Any]) -> float | None:
        value = row.get("latency_ms", {}).get(view, {}).get(percentile)
        return None if value is None else float(value) - float(row["floor_ms"])

    return figure


def _plain(name: str) -> _Figure:
    return lambda row: row.get(name)


def _per_cpu_second(row: Mapping[str, Any]) -> float | None:
    # A steady load below what a system can do holds its idle time, too: where there is a burst, that is what counts.
    is_beside_burst = "phase" in row and _phase(row) != "burst"
    return row["count"] / row["cpu_s"] if row.get("cpu_s") and not (is_beside_burst or row.get("void")) else None


def _burst(row: Mapping[str, Any]) -> float | None:
    return row["per_s"] if _phase(row).endswith("burst") and not row.get("void") else None


def _phase(row: Mapping[str, Any]) -> str:
    return str(row.get("phase", row["load"]))


P50, P90, P99 = (f"{name} over the model, ms" for name in ("p50", "p90", "p99"))
COMMITTED_P50: Final = "committed p50, ms"
FIGURES: Final[Mapping[str, _Figure]] = MappingProxyType(
    {
        P50: _over_model("p50", UNCOMMITTED),
        P90: _over_model("p90", UNCOMMITTED),
        P99: _over_model("p99", UNCOMMITTED),
        COMMITTED_P50: _over_model("p50", COMMITTED),
        "served, %": lambda row: 100 * row["served"] if "served" in row else None,
        "held, /s": _plain("held_per_s"),
        "burst, /s": _burst,
        "per CPU-second": _per_cpu_second,
        "longest silence, s": _plain("longest_gap_s"),
        "repeated calls": _plain("repeated_calls"),
        "restarts": _plain("restarts"),
        "memory, MiB": _plain("rss_mib"),
        "seconds": _plain("start_s"),
        "CPU µs per call": _plain("cpu_us"),
        "calls/s": _plain("calls_per_s"),
        "p99 over the model, ms ": _plain("p99_over_ms"),
        "CPU µs per decision": _plain("decision_us"),
        "prompt tokens": _plain("prompt_tokens"),
        "edit to use, s": _plain("edit_s"),
        "bytes per workflow": _plain("bytes_each"),
        "checkpoint, ms": _plain("checkpoint_took_ms"),
        "right, %": _plain("right_percent"),
        "reachable, %": _plain("reachable_percent"),
        "points lost": _plain("points_lost"),
        "model calls per message": _plain("calls_per_message"),
        "tokens per message": _plain("tokens_per_message"),
        "billed tokens per message": _plain("billed_per_message"),
        "without a model": _plain("without_model"),
        "right": _plain("without_model_right"),
    }
)


@dataclass(frozen=True, kw_only=True)
class Shown:
    """How a benchmark is shown.

    Attributes:
        main: the figure that is drawn and sorted by.
        columns: the figures of its table.
        more: more of the main figure is better.
        shows_void: figures of runs with losses count, because losses are what it is about, or a part of a search.
        counts: whether losses are counted at all.
        log: draw on a logarithmic scale.
        is_timed: other work on the machine makes a difference.
    """

    main: str
    columns: tuple[str, ...]
    more: bool = False
    shows_void: bool = False
    counts: bool = True
    log: bool = field(default=True)
    is_timed: bool = True


_QUALITY: Final = ("right, %", "reachable, %", "points lost")
_LATENCIES: Final = (P50, P99, COMMITTED_P50)
SHOWN: Final[Mapping[str, Shown]] = MappingProxyType(
    {
        "P1": Shown(main="held, /s", columns=("held, /s", "burst, /s", "per CPU-second"), more=True, shows_void=True),
        "P2": Shown(main=P50, columns=(*_LATENCIES, "per CPU-second")),
        "P3": Shown(main=P90, columns=(P50, P90, "served, %")),
        "P4": Shown(main=P50, columns=_LATENCIES),
        "P5": Shown(main=COMMITTED_P50, columns=_LATENCIES),
        "P6": Shown(main="burst, /s", columns=("burst, /s", "per CPU-second"), more=True, log=False),
        "P7": Shown(
            main="prompt tokens",
            columns=("prompt tokens", *_QUALITY, "CPU µs per decision", "edit to use, s"),
            counts=False,
        ),
        "P8": Shown(
            main="bytes per workflow", columns=("bytes per workflow", "checkpoint, ms", P50, P99, "memory, MiB")
        ),
        "P9": Shown(
            main="longest silence, s", columns=("longest silence, s", "repeated calls"), shows_void=True, log=False
        ),
        "P10": Shown(
            main="tokens per message",
            columns=(
                "model calls per message",
                "tokens per message",
                "billed tokens per message",
                *_QUALITY,
                "without a model",
                "right",
            ),
            counts=False,
            is_timed=False,
        ),
        "P11": Shown(
            main="CPU µs per call", columns=("CPU µs per call", "calls/s", "p99 over the model, ms "), counts=False
        ),
        "P12": Shown(
            main="served, %", columns=("served, %", P50, P99, "restarts"), more=True, shows_void=True, log=False
        ),
        "P13": Shown(main="seconds", columns=("seconds",), counts=False, log=False),
        "P14": Shown(main=P99, columns=(P50, P99, "served, %", "memory, MiB", "longest silence, s"), log=False),
    }
)


def figures_of(row: Mapping[str, Any], shown: Shown) -> dict[str, float | None]:
    """The figures of one run that its benchmark shows."""
    return {name: FIGURES[name](row) for name in dict.fromkeys((shown.main, *shown.columns))}
