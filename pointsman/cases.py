"""A workflow as a regression test: its messages, what was decided on each, and all that the decisions were made from.

A case runs without Kafka and without a model: the model's answers are in it. Unless told otherwise it names nobody:
texts are disguised in their shape, and a case whose decisions that would change is not made.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pointsman.catalog import Catalog
from pointsman.catalog_history import catalog_json, parse_catalog
from pointsman.decision_log import LoggedDecision, Place
from pointsman.envelope import JSON, OPERATOR_SOURCE, Record, decode, encode_payload, payload_of
from pointsman.errors import ConfigurationError, InvalidEnvelopeError, PermanentError, RefusedError
from pointsman.pseudonyms import disguised, vocabulary, without_people
from pointsman.replay import CannotReplayError, Difference, Replay, concluded, prepared_by
from pointsman.routing.decision import Decision
from pointsman.routing.router import Router

FORMAT: Final = "pointsman.case/1"
COMPARED: Final = ("outcome", "agent", "how", "reason_code")
"""What must come out the same. Reasons quote payloads, and versions of agents may change without a decision."""
_KEPT_HEADERS: Final = ("ce_", "content-type")


@dataclass(frozen=True, kw_only=True)
class Step:
    """One message of a case and the decision on it.

    Attributes:
        record: the message.
        logged: the decision.
    """

    record: Record
    logged: LoggedDecision


@dataclass(frozen=True, kw_only=True)
class Case:
    """A workflow as a regression test.

    Attributes:
        workflow_id: the workflow that it was made from.
        steps: its messages in order, with their decisions.
        catalogs: the catalogs that decided, by version.
        is_masked: whether the people in it are disguised.
    """

    workflow_id: str
    steps: Sequence[Step]
    catalogs: Mapping[str, Catalog]
    is_masked: bool

    def to_json(self) -> dict[str, Any]:
        """The case as a JSON object; `parse_case` reads it."""
        return {
            "format": FORMAT,
            "workflow_id": self.workflow_id,
            "is_masked": self.is_masked,
            "catalogs": {version: catalog_json(catalog) for version, catalog in self.catalogs.items()},
            "steps": [_step_json(step) for step in self.steps],
        }


@dataclass(frozen=True, kw_only=True)
class Result:
    """What became of one step.

    Attributes:
        number: its number, from 1.
        event_type: the message's type.
        differences: what came out otherwise.
        problem: why it could not be decided; empty when it was.
    """

    number: int
    event_type: str
    differences: Sequence[Difference] = ()
    problem: str = ""

    @property
    def is_same(self) -> bool:
        """Whether the decision is the one of the case."""
        return not self.differences and not self.problem


def make_case(
    workflow_id: str, pairs: Iterable[tuple[LoggedDecision, Record]], catalogs: Mapping[str, Catalog], *, mask: bool
) -> Case:
    """A case from a workflow's decisions and their messages.

    Args:
        workflow_id: the workflow.
        pairs: its decisions, each with its message.
        catalogs: every catalog that is known.
        mask: disguise the people in it.

    Raises:
        RefusedError: with people disguised a decision would come out otherwise, or it cannot be made again at all.
    """
    steps = [Step(record=_kept(record), logged=logged) for logged, record in pairs]
    used = {version: catalogs[version] for version in {step.logged.catalog for step in steps} if version in catalogs}
    words = vocabulary(used.values())
    if mask:
        steps = [_masked(step, words) for step in steps]
    case = Case(workflow_id=workflow_id, steps=tuple(steps), catalogs=used, is_masked=mask)
    wrong = next((result for result in run_case(case) if not result.is_same), None)
    if wrong is not None:
        told = wrong.problem or ", ".join(one.field for one in wrong.differences)
        remedy = "--unmask keeps what people wrote, in a file that only you can read" if mask else ""
        raise RefusedError(
            f"message {wrong.number} ({wrong.event_type}) would not be decided as it was: {told}", remedy
        )
    return case


def run_case(case: Case, catalog: Catalog | None = None) -> list[Result]:
    """Decide on every message of a case again.

    Args:
        case: the case.
        catalog: definitions to decide by; None takes those of the case.
    """
    replay = Replay(case.catalogs)
    return [_run(number, step, replay, catalog) for number, step in enumerate(case.steps, start=1)]


def parse_case(text: str) -> Case:
    """Read what `Case.to_json` made.

    Raises:
        ConfigurationError: it is no case of a format that this version knows.
    """
    try:
        told = json.loads(text)
        if told["format"] != FORMAT:
            raise ConfigurationError(f"the case is of another format than {FORMAT}", "save it again")
        return Case(
            workflow_id=str(told["workflow_id"]),
            is_masked=bool(told["is_masked"]),
            catalogs={version: parse_catalog(agents) for version, agents in told["catalogs"].items()},
            steps=tuple(map(_parse_step, told["steps"])),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, PermanentError):
        raise ConfigurationError("the file holds no case", "make it with `pointsman case save`") from None


def _run(number: int, step: Step, replay: Replay, catalog: Catalog | None) -> Result:
    about = {"number": number, "event_type": step.logged.event_type or "no message"}
    try:
        decision = _decided(step, replay, catalog)
    except CannotReplayError as error:
        return Result(**about, problem=error.why)  # type: ignore[arg-type]
    now = decision.to_json()
    pairs = ((name, step.logged.value.get(name), now[name]) for name in COMPARED)
    found = [Difference(field=name, logged=then, now=after) for name, then, after in pairs if then != after]
    return Result(**about, differences=tuple(found))  # type: ignore[arg-type]


def _decided(step: Step, replay: Replay, catalog: Catalog | None) -> Decision:
    router = replay.router(step.logged)
    if catalog is not None:
        then = router.catalog
        changed = replace(catalog, also_terminal=then.also_terminal, earlier=then.definitions)
        router = Router(changed, router.options)
    try:
        message = decode(step.record)
    except InvalidEnvelopeError as error:
        return router.refuse(error)
    prepared = prepared_by(router, step.logged, message)
    return prepared if isinstance(prepared, Decision) else concluded(router, prepared, step.logged)


def _kept(record: Record) -> Record:
    headers = {name: value for name, value in record.headers.items() if name.startswith(_KEPT_HEADERS)}
    return replace(record, headers=headers)


def _masked(step: Step, words: frozenset[str]) -> Step:
    """`step` with the people in its payload, its headers, and in what the model said about them disguised."""
    record, logged = step.record, step.logged
    try:
        payload = without_people(payload_of(record), words)
    except InvalidEnvelopeError:
        return step
    headers = {name: _without_name(value) if name == "ce_source" else value for name, value in record.headers.items()}
    value = {**logged.value, "reason": disguised(logged.reason), "source": _source_without_name(logged.source)}
    call = logged.model_call
    if call is not None:
        value["model_call"] = {**call, "raw_answer": _masked_answer(call.get("raw_answer"), words)}
    return Step(
        record=replace(record, value=encode_payload(payload), decoded=None, headers={**headers, "content-type": JSON}),
        logged=replace(logged, value=value),
    )


def _masked_answer(raw: Any, words: frozenset[str]) -> Any:
    try:
        said = json.loads(raw)
    except (ValueError, TypeError, RecursionError):
        return disguised(raw) if isinstance(raw, str) else raw
    return json.dumps(without_people(said, words | {"none"}), ensure_ascii=False)


def _without_name(value: bytes) -> bytes:
    return _source_without_name(value.decode(errors="replace")).encode()


def _source_without_name(source: str) -> str:
    """A person's name leaves `/operators/<person>`; that it is a person's word still counts."""
    if not source.startswith(OPERATOR_SOURCE):
        return source
    return f"{OPERATOR_SOURCE}{disguised(source.removeprefix(OPERATOR_SOURCE))}"


def _step_json(step: Step) -> dict[str, Any]:
    record = step.record
    return {
        "decision": dict(step.logged.value),
        "place": {"topic": record.topic, "partition": record.partition, "offset": record.offset},
        "timestamp_ms": record.timestamp_ms,
        "headers": {name: value.decode(errors="surrogateescape") for name, value in record.headers.items()},
        "key": _base64(record.key),
        **_value_json(record),
    }


def _value_json(record: Record) -> dict[str, Any]:
    """A payload as it reads; bytes that are none as base64."""
    try:
        payload = payload_of(record)
    except InvalidEnvelopeError:
        return {"value": _base64(record.value)}
    is_payload = record.decoded is not None or encode_payload(payload) == record.value
    return {"payload": payload} if is_payload else {"value": _base64(record.value)}


def _parse_step(told: Mapping[str, Any]) -> Step:
    place = told["place"]
    value = encode_payload(told["payload"]) if "payload" in told else _octets(told["value"])
    record = Record(
        topic=place["topic"],
        partition=place["partition"],
        offset=place["offset"],
        timestamp_ms=told["timestamp_ms"],
        key=_octets(told["key"]),
        value=value,
        headers={name: text.encode(errors="surrogateescape") for name, text in told["headers"].items()},
    )
    return Step(record=record, logged=LoggedDecision(value=told["decision"], place=Place.of(record)))


def _base64(octets: bytes | None) -> str | None:
    return None if octets is None else base64.b64encode(octets).decode()


def _octets(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
