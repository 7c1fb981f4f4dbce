"""What the router job is told: one set of names for whoever submits it and for the job itself.

The job gets them as arguments, which anybody can read in Flink's web page: no secret belongs here. The model's key
comes from the TaskManager's environment.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from typing import Any, Final

PYTHON_MODES: Final = ("thread", "process")
JOB_NAME: Final = "pointsman-router"


@dataclass(frozen=True, kw_only=True)
class JobOptions:
    """Arguments of the router job; `--kafka-bootstrap` and so on.

    Attributes:
        kafka_bootstrap: Kafka's address as the TaskManagers see it.
        kafka_security_protocol: how the job reaches Kafka; login and certificates come from the JVM (see
            `docs/deployment.md`), never from here.
        kafka_sasl_mechanism: how it logs in, where the protocol is one of SASL.
        name: the job's name; its consumer group and its transactions are named after it.
        parallelism: parallel instances of the operator that decides.
        python_mode: `thread` (Python inside the TaskManager) or `process`.
        checkpoint_interval_ms: milliseconds between checkpoints; a written record becomes visible with the next one.
        transactional_id_prefix: prefix of the sink's transactional ids; two jobs that share one fence each other.
        state_ttl_hours: hours for which message ids and step counts are remembered.
        min_catalog: messages wait for a catalog of at least this sequence.
        always_ask_model: ask the model also when one candidate is left.
        limits: how far a workflow may go, as `pointsman.workflow_limits.LimitsByType.to_json` writes it; empty: the
            built-in limits.
        local_model: path of a local model that decides where it is sure and no model answers; empty for none. Read when
            the job is submitted; it travels with the job.
        local_first: the local model decides where it is sure, before any other model is asked.
        confidence: how sure the model must be of a choice, `0.7` or `0.7,lead_scoring=0.85`; empty does not ask.
        second_model: is asked where it is not; empty for a person at once.
        samples: 2 has the model asked twice where its server does not say how sure it is.
        openai_base_url: address of the model API; empty leaves it to the TaskManager's environment.
        model: model that routes; empty leaves it to the TaskManager's environment.
        model_timeout_s: seconds for one attempt; 0 leaves it to the TaskManager's environment.
        model_concurrency: model calls in flight per process; 0 leaves it to the TaskManager's environment.
    """

    kafka_bootstrap: str
    kafka_security_protocol: str = "PLAINTEXT"
    kafka_sasl_mechanism: str = "SCRAM-SHA-512"
    name: str = JOB_NAME
    parallelism: int = 1
    python_mode: str = "thread"
    checkpoint_interval_ms: int = 1000
    transactional_id_prefix: str = "pointsman-router"
    state_ttl_hours: int = 168
    min_catalog: int = 0
    always_ask_model: bool = False
    limits: str = ""
    local_model: str = ""
    local_first: bool = False
    confidence: str = ""
    second_model: str = ""
    samples: int = 1
    openai_base_url: str = ""
    model: str = ""
    model_timeout_s: float = 0.0
    model_concurrency: int = 0

    def arguments(self) -> list[str]:
        """As command-line arguments; `parse` reads them back."""
        given = [
            f"{_flag(each.name)}={getattr(self, each.name)}" for each in fields(self) if each.name not in _SWITCHES
        ]
        return given + [_flag(name) for name in _SWITCHES if getattr(self, name)]

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
        return JobOptions(**vars(_parser().parse_args(arguments)))


_SWITCHES: Final = ("always_ask_model", "local_first")
_KINDS: Final[dict[str, Any]] = {"str": str, "int": int, "float": float}


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="route_messages", allow_abbrev=False)
    for each in fields(JobOptions):
        if each.name in _SWITCHES:
            parser.add_argument(_flag(each.name), action="store_true")
        else:
            required = each.default is MISSING
            choices = PYTHON_MODES if each.name == "python_mode" else None
            default = None if required else each.default
            kind = _KINDS[str(each.type)]
            parser.add_argument(_flag(each.name), type=kind, required=required, default=default, choices=choices)
    return parser
