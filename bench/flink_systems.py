"""The router itself, and the rivals that are Flink jobs."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import psutil

from bench.flink_submit import submit_python
from bench.programs import ROOT, BenchError, family_of, wait_for
from bench.systems import Running, Workload, common_config
from bench.testbed import FlinkCluster, Testbed, fetch_model_function
from pointsman.flink_client import SubmitOptions
from pointsman.flink_rest import FlinkRest
from pointsman.job import submit
from pointsman.job_health import job_runs
from pointsman.job_options import JobOptions
from pointsman.kafka import load_catalog
from pointsman.local.java import find_java
from pointsman.topics import ERRORS, ESCALATIONS, MESSAGES, inbox

_RIVALS = ROOT / "bench" / "rivals"
HAS_FAST_MODE = "delivery" in {each.name for each in fields(JobOptions)}
"""Whether the router can be told to deliver at least once (`--delivery fast`)."""


@dataclass(frozen=True, kw_only=True)
class Router:
    """The router job, as it is shipped.

    Attributes:
        name: what it is called in results.
        guarantee: `G1` or `G2`.
        told: what its options hold beside what a benchmark sets.
        most_per_s: see `System`.
    """

    name: str = "Pointsman"
    guarantee: str = "G2"
    told: Mapping[str, Any] = field(default_factory=dict)
    most_per_s: float = float("inf")
    needs_flink: bool = True

    def start(self, bed: Testbed, workload: Workload, flink: FlinkCluster | None) -> Running:
        cluster = _given(flink)
        bed = bed.beside() if self.told.get("delivery") else bed
        bed.forget_messages()
        bed.catalog(workload.agents)
        name = f"router-{uuid.uuid4().hex[:8]}"
        options = JobOptions(
            kafka_bootstrap=bed.bootstrap,
            name=name,
            transactional_id_prefix=name,
            checkpoint_interval_ms=workload.checkpoint_ms,
            min_catalog=load_catalog(bed.bootstrap).sequence,
            openai_base_url=bed.model.url(workload.model),
            model_timeout_s=workload.timeout_s,
            model_concurrency=workload.concurrency,
            **self.told,
        )
        java = str(_java())
        job_id = submit(SubmitOptions(job=options, flink_url=cluster.url, flink_lib_dir=cluster.lib, java=java))
        wait_for("the router job", lambda: job_runs(cluster.url, job_id), 60)
        topics = {inbox(agent.name): agent.name for agent in workload.agents}
        found = _running(bed, cluster, job_id, MESSAGES, {**topics, ESCALATIONS: "a person", ERRORS: "dead letter"})
        wait_for("the router's slot", found.processes, 20)
        return found


@dataclass(frozen=True, kw_only=True)
class FlinkRival:
    """A rival in `bench/rivals/<folder>/job.py`.

    Attributes:
        name: what it is called in results.
        folder: its folder.
        guarantee: `G1` or `G2`.
        told: what its configuration holds beside what all get.
        most_per_s: see `System`.
        needs_jar: it needs Flink's model function.
        routes: it names an agent; otherwise it passes messages on.
    """

    name: str
    folder: str
    guarantee: str = "G1"
    told: Mapping[str, Any] = field(default_factory=dict)
    most_per_s: float = float("inf")
    needs_jar: bool = False
    routes: bool = True
    needs_flink: bool = True

    def start(self, bed: Testbed, workload: Workload, flink: FlinkCluster | None) -> Running:
        cluster = _given(flink)
        jar = _without_spaces(fetch_model_function(), bed) if self.needs_jar else ""
        told = {
            name: str(_RIVALS / self.folder / value) if name == "sql" else value for name, value in self.told.items()
        }
        config = {**common_config(bed, workload, self.folder), **told, "jar": str(jar)}
        job_id = submit_python(cluster, _RIVALS / self.folder / "job.py", config, _java(), sys.executable)
        return _running(
            bed, cluster, job_id, config["in_topic"], {config["out_topic"]: "" if self.routes else "passed"}
        )


def _running(bed: Testbed, cluster: FlinkCluster, job_id: str, source: str, out: Mapping[str, str]) -> Running:
    def stop() -> None:
        rest = FlinkRest(cluster.url)
        rest.cancel(job_id)
        rest.wait_for("cancelling", lambda: rest.get(f"/jobs/{job_id}")["state"] == "CANCELED", 60)

    def kill() -> None:
        for process in taskmanagers_of(cluster, job_id):
            process.kill()

    return Running(
        bootstrap=bed.bootstrap, in_topic=source, out_topics=out, stop=stop, kill=kill, flink=(cluster, job_id),
        processes=lambda: family_of(process.pid for process in taskmanagers_of(cluster, job_id)),
        restarts=lambda: restarts_of(cluster, job_id),
    )  # fmt: skip


def taskmanagers_of(cluster: FlinkCluster, job_id: str) -> list[psutil.Process]:
    """The TaskManagers that a job runs in; Flink calls them as the supervisor does."""
    rest = FlinkRest(cluster.url)
    vertices = rest.get(f"/jobs/{job_id}")["vertices"]
    names = {
        one["taskmanager-id"]
        for vertex in vertices
        for one in rest.get(f"/jobs/{job_id}/vertices/{vertex['id']}/taskmanagers")["taskmanagers"]
    }
    return [psutil.Process(pid) for name, pid in cluster.pids().items() if name in names]


def restarts_of(cluster: FlinkCluster, job_id: str) -> int:
    """How often a job has been restarted, by Flink's own count, which is a second old at most."""
    found = FlinkRest(cluster.url).get(f"/jobs/{job_id}/metrics?get=numRestarts")
    return int(found[0]["value"]) if found else 0


def _without_spaces(jar: Path, bed: Testbed) -> Path:
    link = bed.folder / jar.name
    if not link.exists():
        link.symlink_to(jar)
    return link


def _given(flink: FlinkCluster | None) -> FlinkCluster:
    if flink is None:
        raise BenchError("this system needs a Flink cluster")
    return flink


def _java() -> Path:
    found = find_java(None)
    if found is None:
        raise BenchError("java was not found: install a JDK 17 or newer")
    return found.executable


ROUTER = Router()
FAST_ROUTER = Router(name="Pointsman, fast", guarantee="G1", told={"delivery": "fast"})
ASYNC = FlinkRival(
    name="AsyncDataStream, default", folder="async_data_stream", told={"form": "default"}, most_per_s=600
)
ASYNC_TUNED = FlinkRival(
    name="AsyncDataStream, tuned", folder="async_data_stream", told={"form": "tuned"}, most_per_s=800
)
ASYNC_EXACTLY_ONCE = FlinkRival(
    name="AsyncDataStream, tuned, exactly-once sink", folder="async_data_stream", guarantee="G2",
    told={"form": "tuned", "exactly_once": True}, most_per_s=800,
)  # fmt: skip
ML_PREDICT = FlinkRival(
    name="Flink SQL ML_PREDICT", folder="ml_predict", told={"sql": "router.sql"}, needs_jar=True, most_per_s=20
)
ML_PREDICT_TUNED = FlinkRival(
    name="Flink SQL ML_PREDICT, tuned", folder="ml_predict", told={"sql": "router_sharded.sql", "shards": 20},
    needs_jar=True, most_per_s=300,
)  # fmt: skip
PASS_THROUGH = FlinkRival(
    name="Flink SQL pass-through (floor)", folder="ml_predict", routes=False,
    told={"sql": "pass_through.sql", "guarantee": "at-least-once"},
)  # fmt: skip
PASS_THROUGH_EXACTLY_ONCE = FlinkRival(
    name="Flink SQL pass-through, exactly-once sink (floor)", folder="ml_predict", guarantee="G2", routes=False,
    told={"sql": "pass_through.sql", "guarantee": "exactly-once"},
)  # fmt: skip
