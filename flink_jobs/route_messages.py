"""The router job: reads every message, decides which agent gets it next, writes it to that agent's inbox.

    leads ───────▶ SQL: a lead becomes a message ─────────────────────────────────┐
    agent_messages ▶ SQL guard: drop redeliveries, count steps ▶ durable call ────┤▶ one exactly-once sink
    agent_definitions ──────────────── broadcast ────────────────▶ (Python)       ┘

Where values are encrypted, leads go through the durable call, too: it has the keys.

Wiring only: it runs as `__main__`, so what Flink pickles lives in `flink_jobs.operators`, what it says in `sql/`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pyflink.common import Configuration
from pyflink.datastream import StreamExecutionEnvironment
from pyflink.table import DataTypes, Schema, StreamTableEnvironment

from flink_jobs.model_process.address import ModelAddress
from flink_jobs.operators.route import RouteOptions, route
from flink_jobs.sql_files import GUARD_STATE, definitions, statement
from pointsman.job_options import FAST, JobOptions
from pointsman.routing.confidence import checked
from pointsman.routing.router import RoutingOptions
from pointsman.workflow_limits import LimitsByType


def main(arguments: Sequence[str]) -> None:
    """Build the job and hand it to the cluster."""
    options = JobOptions.parse(arguments)
    env = StreamExecutionEnvironment.get_execution_environment(configuration(options))
    env.set_parallelism(options.parallelism)
    tables = StreamTableEnvironment.create(env)
    for definition in definitions(options):
        tables.execute_sql(definition)
    decided = route(
        tables.to_data_stream(tables.from_path("counted_messages")),
        tables.to_data_stream(tables.from_path("catalog_records")),
        route_options(options),
        tables.to_data_stream(tables.from_path("leads_to_seal")) if options.encrypted else None,
    )
    tables.create_temporary_view("decided", tables.from_data_stream(decided, _outbox_schema()))
    tables.execute_sql(statement("write_sealed_outbox" if options.encrypted else "write_outbox"))


def configuration(options: JobOptions) -> Configuration:
    """Flink's settings that belong to the job."""
    config = Configuration()
    for name, value in settings(options).items():
        config.set_string(name, value)
    return config


def settings(options: JobOptions) -> dict[str, str]:
    """The same by name."""
    return {
        "pipeline.name": options.name,
        "pipeline.global-job-parameters": json.dumps(options.parameters()),
        "python.execution-mode": options.python_mode,
        # In process mode a message would wait for its bundle, a second by default. Thread mode has none: the timer that
        # ends them would wake the operator 500 times a second for nothing.
        "python.fn-execution.bundle.size": "1000",
        "python.fn-execution.bundle.time": "2" if options.python_mode == "process" else "1000",
        # A record crosses five exchanges, and would wait for half an interval at each.
        "execution.buffer-timeout.interval": "0 ms",
        "state.backend.type": options.state_backend,
        # Otherwise each checkpoint of RocksDB's would hold everything, too; `hashmap` knows no other.
        "execution.checkpointing.incremental": "true",
        # Nearly every id is new: what says so without reading a file keeps the price of a message the same (ADR 28).
        "state.backend.rocksdb.use-bloom-filter": "true",
        # Each four checkpoints' files are merged into the first level, which were all of the state with 256 MB.
        "state.backend.rocksdb.compaction.level.max-size-level-base": "1 mb",
        "state.backend.rocksdb.compaction.level.target-file-size-base": "4 mb",
        # Each checkpoint writes the log of RocksDB's files anew, which by default grows to a gigabyte.
        "state.backend.rocksdb.options-factory": "pointsman.BoundedManifest",
        "execution.checkpointing.interval": f"{options.checkpoint_interval_ms} ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.timeout": "2 min",
        "execution.checkpointing.tolerable-failed-checkpoints": "100",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "200 ms",
        "restart-strategy.exponential-delay.max-backoff": "5 s",
        "restart-strategy.exponential-delay.reset-backoff-threshold": "1 min",
        "table.local-time-zone": "UTC",
        "table.exec.state.ttl": f"{options.state_ttl_s} s",
        # A savepoint finds its state again by these ids: that of another guard must not be taken for this one's.
        "table.exec.uid.generation": "ALWAYS",
        "table.exec.uid.format": f"<transformation>-{GUARD_STATE}-<id>",
        # Flink's default, and what the names of the shards were chosen for; a savepoint is bound to it.
        "pipeline.max-parallelism": "128",
        # Two exchanges, by message id and by workflow, would let messages of one workflow overtake each other if more
        # than one instance stood between them (docs/adr/0003).
        "table.exec.resource.default-parallelism": "1",
    }


def route_options(options: JobOptions) -> RouteOptions:
    """What the operator is told."""
    return RouteOptions(
        routing=RoutingOptions(
            always_ask_model=options.always_ask_model,
            # Read here, so that a mistake in them is found before the job runs.
            limits=LimitsByType.from_json(options.limits).to_json(),
            local_first=options.local_first,
            max_shown=options.max_shown,
            confidence=checked(options.confidence),
            second_model=options.second_model,
            samples=options.samples,
        ),
        model=ModelAddress(
            base_url=options.openai_base_url or None,
            model=options.model or None,
            concurrency=options.model_concurrency or None,
            timeout_s=options.model_timeout_s or None,
        ),
        min_catalog=options.min_catalog,
        local_model=_local_model(options.local_model),
        parallelism=options.parallelism,
        python_mode=options.python_mode,
        state_ttl_s=options.state_ttl_s,
        name=options.name,
        must_claim=options.delivery == FAST,
        encrypted=options.encrypted,
    )


def _local_model(path: str) -> bytes | None:
    if not path:
        return None
    from pointsman.local_model import read_file

    return read_file(Path(path))


def _outbox_schema() -> Schema:
    schema: Schema = (
        Schema.new_builder()
        .column("topic", DataTypes.STRING())
        .column("k", DataTypes.STRING())
        .column("v", DataTypes.STRING())
        .column("headers", DataTypes.MAP(DataTypes.STRING(), DataTypes.BYTES()))
        .build()
    )
    return schema


if __name__ == "__main__":
    main(sys.argv[1:])
