"""The router as one Flink SQL script: `python -m flink_jobs.sql_router … > router.sql`, then `sql-client.sh -f`.

The agents of a folder of definitions are written into the script: a change of the catalog is a new script.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flink_jobs.sql_files import definitions, statement, text_literal
from pointsman.catalog import Catalog
from pointsman.definitions import AgentDefinition
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.envelope import MAX_PAYLOAD_BYTES
from pointsman.errors import ConfigurationError, PointsmanError
from pointsman.job_options import JobOptions
from pointsman.routing.prompt import prefix_for
from pointsman.settings import settings
from pointsman.shredding.process import must_encrypt
from pointsman.topics import DECISIONS, ERRORS, ESCALATIONS, MESSAGES
from pointsman.workflow_limits import WorkflowLimits

_SCHEMA_LINE = "Answer with one JSON object that keeps this schema: "


@dataclass(frozen=True, kw_only=True)
class SqlModel:
    """The model that the script asks.

    Attributes:
        endpoint: address of chat completions.
        name: the model.
        api_key: its key; stands in the script, so the script is a secret.
    """

    endpoint: str
    name: str
    api_key: str


def script(agents: Sequence[AgentDefinition], options: JobOptions, model: SqlModel) -> str:
    """The whole script for the agents of a catalog."""
    takers = _takers(agents)
    several = {kind: names for kind, names in takers.items() if len(names) > 1}
    named = {name for names in several.values() for name in names}
    asked = [agent for agent in agents if agent.name in named]
    terminal = {entry.type for agent in agents for entry in agent.emits if entry.terminal} - set(takers)
    router = statement(
        "ml_predict_router",
        {
            "only_one": _pairs({kind: names[0] for kind, names in takers.items() if len(names) == 1}),
            "several": _pairs({kind: f"|{'|'.join(names)}|" for kind, names in several.items()}),
            "terminal": _pairs(dict.fromkeys(sorted(terminal), "yes")),
        },
        name=options.name,
        state_ttl_s=options.state_ttl_s,
        checkpoint_interval_ms=options.checkpoint_interval_ms,
        max_steps=WorkflowLimits().steps,
        max_payload_bytes=MAX_PAYLOAD_BYTES,
        endpoint=model.endpoint,
        api_key=model.api_key,
        model=model.name,
        system_prompt=_system_prompt(asked),
        catalog=Catalog.of(list(agents)).version,
        messages_topic=MESSAGES,
        decisions_topic=DECISIONS,
        escalations_topic=ESCALATIONS,
        errors_topic=ERRORS,
    )
    shared = definitions(options)
    return "".join(f"{text.rstrip()};\n\n" for text in shared) + router


def main(arguments: Sequence[str]) -> int:
    """Print the script; 3 when something is wrong with the definitions."""
    parser = argparse.ArgumentParser(prog="python -m flink_jobs.sql_router")
    parser.add_argument("--kafka-bootstrap", required=True)
    parser.add_argument("--endpoint", required=True, help="e.g. https://api.openai.com/v1/chat/completions")
    parser.add_argument("--model", default="gpt-4o-mini")
    parser.add_argument("--api-key-file", type=Path, required=True, help="file with the key, and nothing else")
    parser.add_argument("--definitions", type=Path, default=Path("agent_definitions"))
    parser.add_argument("--name", default="pointsman-sql-router")
    given = parser.parse_args(arguments)
    options = JobOptions(kafka_bootstrap=given.kafka_bootstrap, name=given.name, transactional_id_prefix=given.name)
    try:
        if must_encrypt(settings()):
            raise ConfigurationError("SQL cannot read encrypted values", "route with `pointsman job submit`")
        agents = load_folder_or_raise(given.definitions).definitions
        key = given.api_key_file.read_text(encoding="utf-8").strip()
    except (PointsmanError, OSError) as error:
        sys.stderr.write(f"sql_router: {error}\n")
        return 3
    sys.stdout.write(script(agents, options, SqlModel(endpoint=given.endpoint, name=given.model, api_key=key)))
    return 0


def _takers(agents: Iterable[AgentDefinition]) -> dict[str, list[str]]:
    """Names of the agents that list each type."""
    found: dict[str, list[str]] = defaultdict(list)
    for agent in sorted(agents, key=lambda one: one.name):
        for kind in dict.fromkeys(entry.type for entry in agent.accepts):
            found[kind].append(agent.name)
    return dict(found)


def _system_prompt(agents: Sequence[AgentDefinition]) -> str:
    prefix = prefix_for(agents)
    return f"{prefix.system}\n\n{_SCHEMA_LINE}{json.dumps(prefix.schema)}"


def _pairs(values: Mapping[str, str]) -> str:
    """Keys and values of a SQL map; never empty, which has no type."""
    return ", ".join(f"{text_literal(key)}, {text_literal(value)}" for key, value in {"": "", **values}.items())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
