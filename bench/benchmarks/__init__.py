"""The benchmarks, by number: each module has `TITLE`, `MINUTES` (for three repeats) and `run(session)`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType, ModuleType
from typing import Final

from bench.benchmarks import (
    catalogue_size,
    client_cost,
    cost_per_message,
    exactly_once_cost,
    hop_overhead,
    lead_loop,
    provider_faults,
    recovery,
    scale_out,
    soak,
    start_time,
    state_size,
    tail_isolation,
    throughput,
)
from bench.results_file import Report
from bench.session import Session


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """One of the suite.

    Attributes:
        title: its name.
        minutes: about how long three repeats take.
        run: measures.
    """

    title: str
    minutes: float
    run: Callable[[Session], Report]


def _of(module: ModuleType) -> Benchmark:
    return Benchmark(title=module.TITLE, minutes=module.MINUTES, run=module.run)


ALL: Final[Mapping[str, Benchmark]] = MappingProxyType(
    {
        "P1": _of(throughput),
        "P2": _of(hop_overhead),
        "P3": _of(tail_isolation),
        "P4": _of(lead_loop),
        "P5": _of(exactly_once_cost),
        "P6": _of(scale_out),
        "P7": _of(catalogue_size),
        "P8": _of(state_size),
        "P9": _of(recovery),
        "P10": _of(cost_per_message),
        "P11": _of(client_cost),
        "P12": _of(provider_faults),
        "P13": _of(start_time),
        "P14": _of(soak),
    }
)
