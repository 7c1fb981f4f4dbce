"""What is measured: the router and its rivals, each behind the same small face."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

import psutil

from bench.arithmetic import Arrival
from bench.catalogs import agents
from bench.testbed import FlinkCluster, Testbed
from pointsman.definitions import AgentDefinition
from pointsman.routing.prompt import prefix_for

UNCOMMITTED: Final = "read_uncommitted"
COMMITTED: Final = "read_committed"


@dataclass(frozen=True, kw_only=True)
class Workload:
    """What a system is told for a benchmark.

    Attributes:
        model: how the mock model behaves, a path such as `l200`.
        concurrency: model calls in flight at most.
        checkpoint_ms: milliseconds between checkpoints, where there are any.
        hops: routing steps per message.
        timeout_s: seconds for one model call, where a system can be told.
        agents: the catalog.
    """

    model: str = "l200"
    concurrency: int = 1000
    checkpoint_ms: int = 1000
    hops: int = 1
    timeout_s: float = 60.0
    agents: list[AgentDefinition] = field(default_factory=agents)

    def write_prompt(self, bed: Testbed) -> str:
        """Leave the router's own prompt for rivals; the file's path."""
        prefix = prefix_for(self.agents)
        file = bed.folder / f"prompt-{len(self.agents)}.json"
        file.write_text(json.dumps({"system": prefix.system, "schema": prefix.schema}), encoding="utf-8")
        return str(file)


@dataclass(kw_only=True)
class Running:
    """A system at work.

    Attributes:
        bootstrap: Kafka's address.
        in_topic: where messages are offered.
        out_topics: where they are seen, and the agent that each topic stands for; "" where the record names it.
        processes: its processes now.
        stop: ends it.
        kill: kills the process that works, as a crash would; it comes back by itself.
        flink: the cluster and the job's id, where it is a Flink job.
        restarts: how often a Flink job has been restarted so far.
        offers: makes the load that a plan describes in its own process and tells what came out, within so many
            seconds; None where load and records go by Kafka.
    """

    bootstrap: str
    in_topic: str
    out_topics: Mapping[str, str]
    processes: Callable[[], list[psutil.Process]]
    stop: Callable[[], None]
    kill: Callable[[], None]
    flink: tuple[FlinkCluster, str] | None = None
    restarts: Callable[[], int] | None = None
    offers: Callable[[Mapping[str, Any], float], list[Arrival]] | None = None


class System(Protocol):
    """Something that routes messages."""

    @property
    def name(self) -> str:
        """What it is called in results."""

    @property
    def guarantee(self) -> str:
        """`G0` in memory, `G1` at least once, `G2` exactly once."""

    @property
    def needs_flink(self) -> bool:
        """Whether it takes a slot of a Flink cluster."""

    @property
    def most_per_s(self) -> float:
        """Above this rate at 200 ms it is known to fall behind for ever; offered no more in benchmarks of latency."""

    def start(self, bed: Testbed, workload: Workload, flink: FlinkCluster | None) -> Running:
        """Start it; returns when it takes messages.

        Raises:
            BenchError: it does not start.
        """


def fresh_topics(bed: Testbed, name: str) -> tuple[str, str]:
    """A topic to read and one to write that nobody has used."""
    mark = f"bench.{name.replace(' ', '-').replace(',', '')}.{uuid.uuid4().hex[:8]}"
    bed.topics(f"{mark}.in", f"{mark}.out")
    return f"{mark}.in", f"{mark}.out"


def common_config(bed: Testbed, workload: Workload, name: str) -> dict[str, Any]:
    """What every rival is told."""
    source, sink = fresh_topics(bed, name)
    return {
        "bootstrap": bed.bootstrap, "in_topic": source, "out_topic": sink, "group": source, "name": source,
        "model_url": bed.model.url(workload.model), "concurrency": workload.concurrency, "hops": workload.hops,
        "timeout_s": workload.timeout_s,
        "checkpoint_ms": workload.checkpoint_ms, "prompt": workload.write_prompt(bed), "folder": str(bed.folder),
    }  # fmt: skip
