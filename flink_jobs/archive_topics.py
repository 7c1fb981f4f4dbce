"""The archive job: copies topics to files, each record once, and nothing is parsed. All of it runs in the JVM.

    agent_messages, agent_decisions, … ▶ Avro files, a folder for each topic and day

Wiring only; what it says to Flink is in `sql/archive_*.sql`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from pyflink.common import Configuration
from pyflink.table import EnvironmentSettings, TableEnvironment

from flink_jobs.sql_files import archive_statements
from pointsman.archive.options import ArchiveOptions


def main(arguments: Sequence[str]) -> None:
    """Build the job and hand it to the cluster."""
    options = ArchiveOptions.parse(arguments)
    settings = EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(configuration(options))
    tables = TableEnvironment.create(settings.build())
    for statement in archive_statements(options):
        tables.execute_sql(statement)


def configuration(options: ArchiveOptions) -> Configuration:
    """Flink's settings that belong to the job."""
    settings: dict[str, str] = {
        "pipeline.name": options.name,
        "pipeline.global-job-parameters": json.dumps(options.parameters()),
        "parallelism.default": str(options.parallelism),
        "execution.checkpointing.interval": f"{options.checkpoint_interval_ms} ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "execution.checkpointing.timeout": "10 min",
        "execution.checkpointing.tolerable-failed-checkpoints": "100",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1 s",
        "restart-strategy.exponential-delay.max-backoff": "1 min",
        # A day of a folder is a day in UTC.
        "table.local-time-zone": "UTC",
        # A savepoint finds its state again by these ids.
        "table.exec.uid.generation": "ALWAYS",
        "table.exec.uid.format": "<transformation>-<id>",
    }
    if options.checkpoints:
        settings["execution.checkpointing.dir"] = options.checkpoints
    config = Configuration()
    for name, value in settings.items():
        config.set_string(name, value)
    return config


if __name__ == "__main__":
    main(sys.argv[1:])
