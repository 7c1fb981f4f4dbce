"""The decision log as a file: JSON Lines, or Avro with the schema `pointsman/decision.avsc`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import IO, Any, Final

import fastavro

from pointsman.decision_log import LoggedDecision

_SCHEMA_FILE: Final = "decision.avsc"


def schema() -> dict[str, Any]:
    """The Avro schema of an exported decision."""
    parsed: dict[str, Any] = json.loads(files("pointsman").joinpath(_SCHEMA_FILE).read_text(encoding="utf-8"))
    return parsed


def write_avro(decisions: Iterable[LoggedDecision], file: IO[bytes]) -> None:
    """Write `decisions` as one Avro object container file."""
    fastavro.writer(file, fastavro.parse_schema(schema()), map(avro_row, decisions), codec="deflate")


def json_line(decision: LoggedDecision) -> str:
    """One decision as a line of JSON: the entry as it was logged, and where it lies."""
    return json.dumps({"place": str(decision.place), **decision.value}, ensure_ascii=False)


def avro_row(decision: LoggedDecision) -> Mapping[str, Any]:
    """One decision in the shape of the schema."""
    call = decision.model_call or {}
    return {
        "place": str(decision.place),
        "message_id": decision.message_id,
        "workflow_id": decision.workflow_id,
        "event_type": decision.event_type or None,
        "source": decision.source or None,
        "message_place": str(decision.message_place),
        "step": decision.step,
        "attempt": decision.attempt,
        "decided_at": decision.decided_at,
        "outcome": decision.outcome,
        "how": decision.how,
        "reason_code": decision.reason_code,
        "reason": decision.reason,
        "agent": decision.agent,
        "catalog": decision.catalog,
        "catalog_sequence": decision.catalog_sequence,
        "model": _of(call, "model", str),
        "input_tokens": _of(call, "input_tokens", int),
        "output_tokens": _of(call, "output_tokens", int),
        "cost_usd": _of(call, "cost_usd", float | int),
        "entry": json.dumps(decision.value, ensure_ascii=False),
    }


def _of(call: Mapping[str, Any], name: str, kind: Any) -> Any:
    value = call.get(name)
    return value if isinstance(value, kind) and not isinstance(value, bool) else None
