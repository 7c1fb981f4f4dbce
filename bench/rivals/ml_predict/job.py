"""Submits a SQL file of this folder as a Flink job; no Python runs in the cluster."""

import json
import sys
from pathlib import Path
from string import Template

from pyflink.common import Configuration
from pyflink.table import EnvironmentSettings, TableEnvironment


def main():
    """Run every statement of the file; the last one is the job."""
    config = json.loads(sys.argv[1])
    prompt = json.loads(Path(config["prompt"]).read_text())
    system = prompt["system"] + "\n\nAnswer with one JSON object of this schema: " + json.dumps(prompt["schema"])
    values = {
        **config,
        "endpoint": config["model_url"] + "/chat/completions",
        "system_prompt": system.replace("'", "''"),
    }
    settings = Configuration()
    for name, value in {
        "pipeline.name": config["name"],
        "execution.buffer-timeout.interval": "2 ms",
        "execution.checkpointing.interval": f"{config['checkpoint_ms']} ms",
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": "1000",
        "restart-strategy.fixed-delay.delay": "200 ms",
        "table.exec.resource.default-parallelism": "1",
        **({"pipeline.jars": Path(config["jar"]).as_uri()} if config["jar"] else {}),
    }.items():
        settings.set_string(name, value)
    tables = TableEnvironment.create(
        EnvironmentSettings.new_instance().in_streaming_mode().with_configuration(settings).build()
    )
    for statement in statements(Path(config["sql"]).read_text(), values):
        tables.execute_sql(statement)


def statements(text, values):
    """The statements of a file, those that name a shard once for each of `shards`."""
    shards = range(values.get("shards", 1))
    values = {**values, "all_answered": " UNION ALL ".join(f"TABLE answered_{one}" for one in shards)}
    for part in filter(None, (part.strip() for part in text.split(";\n"))):
        for shard in shards if "${shard}" in part else [""]:
            yield Template(part).substitute(values, shard=shard)


if __name__ == "__main__":
    main()
