"""What the router job is told: one set of names for whoever submits it and for the job itself.

The job gets them as arguments, which anybody can read in Flink's web page: no secret belongs here. The model's key
comes from the TaskManager's environment.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PYTHON_MODES: Final = ("thread", "process")
STATE_BACKENDS: Final = ("rocksdb", "hashmap")
EXACTLY_ONCE: Final = "exactly-once"
"""What the job writes becomes visible with the next checkpoint, and is written once."""
FAST: Final = "fast"
"""What the job writes is visible at once, perhaps again after a restart; agents act on the first only."""
DELIVERIES: Final = (EXACTLY_ONCE, FAST)
JOB_NAME: Final = "pointsman-router"
MOST_PARALLEL: Final = 16
"""A workflow belongs to one of 16 shards (`sql/counted_messages.sql`): more instances than that would have no work."""


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """Arguments of the router job; `--kafka-bootstrap` and so on.

    Attributes:
        kafka_bootstrap: Kafka's address as the TaskManagers see it.
        kafka_security_protocol: how the job reaches Kafka; login and certificates come from the JVM (see
            `docs/deployment.md`), never from here.
        kafka_sasl_mechanism: how it logs in, where the protocol is one of SASL.
        name: the job's name; its consumer group and its transactions are named after it.
        encrypted: values are encrypted, leads among them; the keys come from the TaskManager's environment.
        parallelism: parallel instances of the operator that decides.
        python_mode: `thread` (Python inside the TaskManager) or `process`.
        state_backend: `rocksdb` (state on disk; a checkpoint writes what is new) or `hashmap` (state in memory; a
            checkpoint writes all of it).
        checkpoint_interval_ms: milliseconds between checkpoints; exactly once, what is written becomes visible with the
            next one.
        delivery: `exactly-once` or `fast`.
        transactional_id_prefix: prefix of the sink's transactional ids; two jobs that share one fence each other.
        state_ttl_s: seconds for which message ids and the counts of a workflow are remembered after its last message.
        min_catalog: messages wait for a catalog of at least this sequence.
        always_ask_model: ask the model also when one candidate is left.
        max_shown: of more candidates than that, the model is shown the nearest; 0 shows all.
        limits: how far a workflow may go, as `pointsman.workflow_limits.LimitsByType.to_json` writes it; empty: the
            built-in limits.
        local_model: path of a local model that decides where it is sure and no model answers; empty for none. Read when
            the job is submitted; it travels with the job.
        local_first: the local model decides where it is sure, before any other model is asked.
        confidence: how sure the model must be of a choice, `0.7` or `0.7,lead_scoring=0.85`; empty does not ask.
        second_model: is asked where it is not; empty for a person at once.
        samples: 2 has the model asked twice where its server does not say how sure it is; 1 never does.
        openai_base_url: address of the model API; empty leaves it to the TaskManager's environment.
        model: model that routes; empty leaves it to the TaskManager's environment.
        model_timeout_s: seconds for one attempt; 0 leaves it to the TaskManager's environment.
        model_concurrency: model calls in flight per process; 0 leaves it to the TaskManager's environment.
    """

    kafka_bootstrap: str
    kafka_security_protocol: str = "PLAINTEXT"
    kafka_sasl_mechanism: str = "SCRAM-SHA-512"
    name: str = JOB_NAME
    encrypted: bool = False
    parallelism: int = 1
    python_mode: str = "thread"
    state_backend: str = "rocksdb"
    checkpoint_interval_ms: int = 1000
    delivery: str = EXACTLY_ONCE
    transactional_id_prefix: str = "pointsman-router"
    state_ttl_s: int = 7 * 24 * 3600
    min_catalog: int = 0
    always_ask_model: bool = False
    max_shown: int = 7
    limits: str = ""
    local_model: str = ""
    local_first: bool = False
    confidence: str = ""
    second_model: str = ""
    samples: int = 2
    openai_base_url: str = ""
    model: str = ""
    model_timeout_s: float = 0.0
    model_concurrency: int = 0

    def arguments(self) -> list[str]:
        """As command-line arguments; `parse` reads them back."""
        return as_arguments(self)

    def parameters(self) -> dict[str, str]:
        """As the running job tells them over REST; `from_parameters` reads them back."""
        return {each.name: json.dumps(getattr(self, each.name)) for each in fields(self)}

    @staticmethod
    def from_parameters(parameters: Mapping[str, str]) -> JobOptions:
        """Read what a running job says of itself; what it does not say has its default."""
        known = {each.name for each in fields(JobOptions)}
        return JobOptions(**{name: json.loads(text) for name, text in parameters.items() if name in known})

    @staticmethod
    def parse(arguments: Sequence[str]) -> JobOptions:
        """Read arguments.

        Raises:
            SystemExit: an argument is unknown or malformed; the usage stands on stderr.
        """
        return JobOptions(**parse_into(JobOptions, arguments, prog="route_messages"))


_CHOICES: Final = {"python_mode": PYTHON_MODES, "state_backend": STATE_BACKENDS, "delivery": DELIVERIES}
_KINDS: Final[dict[str, Any]] = {"str": str, "int": int, "float": float}


def as_arguments(options: DataclassInstance) -> list[str]:
    """`options` as command-line arguments; `parse_into` reads them back."""
    told = [(each, getattr(options, each.name)) for each in fields(options)]
    given = [f"{_flag(each.name)}={value}" for each, value in told if each.type != "bool"]
    return given + [_flag(each.name) for each, value in told if each.type == "bool" and value]


def parse_into(kind: type[DataclassInstance], arguments: Sequence[str], *, prog: str) -> dict[str, Any]:
    """The values of the fields of `kind`, which are texts, numbers and switches, from command-line arguments.

    Raises:
        SystemExit: an argument is unknown or malformed; the usage stands on stderr.
    """
    parser = argparse.ArgumentParser(prog=prog, allow_abbrev=False)
    for each in fields(kind):
        if each.type == "bool":
            parser.add_argument(_flag(each.name), action="store_true")
        else:
            required = each.default is MISSING
            default = None if required else each.default
            parser.add_argument(
                _flag(each.name),
                type=_KINDS[str(each.type)],
                required=required,
                default=default,
                choices=_CHOICES.get(each.name),
            )
    return vars(parser.parse_args(arguments))


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
