"""Makes logged decisions again: from the message, the catalog of that time, and what else the log has kept.

Pure. No model is called: what a model said is taken from the log. A decision that comes out the same proves that the
log holds all that it was made from, and that the router of today decides as the one of then.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any, Final, TypeVar

from pointsman.catalog import Catalog
from pointsman.decision_log import LoggedDecision
from pointsman.envelope import Envelope, Record, decode
from pointsman.errors import ErrorReason, InvalidEnvelopeError
from pointsman.models.answers import RawAnswer, UnusableAnswerError, shape_of, usable_content
from pointsman.models.port import ChatAnswer
from pointsman.routing.decision import Decision, Method
from pointsman.routing.limits import Counters
from pointsman.routing.question import ModelQuestion
from pointsman.routing.router import Router, RoutingOptions

COMPARED: Final = (
    "outcome", "agent", "agent_version", "proposed", "how", "reason_code", "reason", "candidates", "model_failure",
)  # fmt: skip
"""Fields of a decision that must come out the same; catalog and model call are what it is made from."""

_Kind = TypeVar("_Kind", RoutingOptions, Counters)


class CannotReplayError(Exception):
    """The log, or the message, no longer holds what is needed.

    Attributes:
        why: one sentence, without personal data.
    """

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


class NotTheRoutersError(CannotReplayError):
    """More than the router made the decision; it is on record, and cannot be made again from the log alone."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A field that came out otherwise.

    Attributes:
        field: its name.
        logged: what the log says.
        now: what came out.
    """

    field: str
    logged: Any
    now: Any


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What a decision was made from, beside the message and the definitions.

    Attributes:
        now: the time at which it was begun.
        is_terminal: the message's type was terminal.
        is_declared: the agent that wrote it had declared that it may say so.
        by_plan: a plan took the message, so that the router was not asked.
        counters: what its workflow had come to.
        options: how the job was told to route.
    """

    now: datetime
    is_terminal: bool
    is_declared: bool
    by_plan: bool
    counters: Counters
    options: RoutingOptions


class Replay:
    """Makes decisions again; routers are made once per catalog and options.

    Args:
        catalogs: the catalogs by the version that they had.
    """

    def __init__(self, catalogs: Mapping[str, Catalog]) -> None:
        self._catalogs = catalogs
        self._routers: dict[tuple[str, RoutingOptions, frozenset[str], bool], Router] = {}

    def differences(self, logged: LoggedDecision, record: Record) -> list[Difference]:
        """What comes out otherwise than it was logged; nothing when the decision is the same.

        Raises:
            CannotReplayError: something that it was made from is no longer there.
        """
        router = self.router(logged)
        try:
            message = decode(record)
        except InvalidEnvelopeError as error:
            return compared(logged, router.refuse(error))
        refused = None if inputs_of(logged).is_declared else router.refusal(message)
        if refused and not inputs_of(logged).counters.is_cancelled:
            # Why exactly also hangs on definitions from before, of which the log does not say how many were known.
            return compared(logged, refused, ("outcome",))
        prepared = prepared_by(router, logged, message)
        if isinstance(prepared, Decision):
            return compared(logged, prepared)
        if asked_hash(logged) != prepared.prompt_hash:
            return [Difference(field="prompt_hash", logged=asked_hash(logged), now=prepared.prompt_hash)]
        return compared(logged, concluded(router, prepared, logged))

    def router(self, logged: LoggedDecision, model: str | None = None) -> Router:
        """The router as it was when `logged` was made.

        Args:
            logged: the decision.
            model: the model to route with instead of the one of then.

        Raises:
            CannotReplayError: the catalog of that time is not there.
        """
        if logged.catalog not in self._catalogs:
            raise CannotReplayError(f"catalog {logged.catalog[:20] or '(none)'} is not kept")
        inputs = inputs_of(logged)
        options = replace(inputs.options, model=model or inputs.options.model)
        terminal = frozenset({logged.event_type}) if inputs.is_terminal else frozenset()
        key = (logged.catalog, options, terminal, inputs.is_declared)
        if key not in self._routers:
            catalog = replace(self._catalogs[logged.catalog], retired={}, also_terminal=terminal)
            self._routers[key] = (_Trusting if inputs.is_declared else Router)(catalog, options)
        return self._routers[key]


class _Trusting(Router):
    """A router that takes the log's word for it that an agent had declared what it said.

    What a removed agent, or the definition before the present one, declared counts too, and a catalog does not hold it.
    """

    def refusal(self, message: Envelope) -> Decision | None:
        return None


def prepared_by(router: Router, logged: LoggedDecision, message: Envelope) -> Decision | ModelQuestion:
    """What `router`, of any catalog, makes of a message that was decided on before.

    Raises:
        NotTheRoutersError: what was decided hung on a plan, a local model, or on what Kafka takes.
        CannotReplayError: something that it was made from is no longer there.
    """
    inputs = inputs_of(logged)
    if inputs.by_plan:
        raise NotTheRoutersError("its plan decided, by where it stood")
    if logged.how == Method.LOCAL_MODEL:
        raise NotTheRoutersError("the local model decided, which the log does not hold")
    if logged.reason_code == ErrorReason.TOO_LARGE:
        raise NotTheRoutersError("its records were too large for Kafka, so it became a dead letter")
    return router.prepare(message, inputs.counters, inputs.now)


def concluded(router: Router, question: ModelQuestion, logged: LoggedDecision) -> Decision:
    """The decision that the logged answer of the model makes of `question`.

    Raises:
        CannotReplayError: the log holds neither an answer nor why there was none.
    """
    failure = logged.value.get("model_failure")
    if isinstance(failure, dict):
        answer = _answer(logged, {}) if logged.model_call else None
        return router.conclude_without(question, str(failure.get("code")), str(failure.get("detail")), answer)
    if logged.model_call is None:
        raise CannotReplayError("a model would be asked, and the log holds no answer")
    raw = logged.model_call.get("raw_answer")
    if not isinstance(raw, str):
        raise CannotReplayError("the model's answer was too large to be logged whole")
    try:
        content = usable_content(RawAnswer(text=raw), shape_of(question.request.schema))
    except UnusableAnswerError as error:
        return router.conclude_without(question, "model_answer", error.problem, _answer(logged, {}))
    return router.conclude(question, _answer(logged, content))


def compared(logged: LoggedDecision, decision: Decision, names: Sequence[str] = COMPARED) -> list[Difference]:
    """Those of the fields `names` in which `decision` differs from what was logged."""
    now = json.loads(json.dumps(decision.to_json(), default=str))
    pairs = ((name, logged.value.get(name), now.get(name)) for name in names)
    return [Difference(field=name, logged=before, now=after) for name, before, after in pairs if before != after]


def asked_hash(logged: LoggedDecision) -> str | None:
    """Hash of what the model was asked; None when none was."""
    told = logged.model_call or logged.value.get("model_failure")
    return str(told.get("prompt_hash")) if isinstance(told, Mapping) else None


def inputs_of(logged: LoggedDecision) -> Inputs:
    """What the log kept of everything that `logged` was made from.

    Raises:
        CannotReplayError: it was logged by a version that did not keep it.
    """
    told = logged.value.get("inputs")
    try:
        return Inputs(
            now=datetime.fromisoformat(told["now"]),  # type: ignore[index]
            is_terminal=bool(told["is_terminal"]),  # type: ignore[index]
            is_declared=bool(told.get("is_declared", True)),  # type: ignore[union-attr]
            by_plan=bool(told.get("by_plan")),  # type: ignore[union-attr]
            counters=_known(Counters, told["counters"]),  # type: ignore[index]
            # Before there were shortlists, the model was shown everybody.
            options=_known(RoutingOptions, {"max_shown": 0, **told["options"]}),  # type: ignore[index]
        )
    except (TypeError, KeyError, ValueError, AttributeError):
        raise CannotReplayError("the log does not hold what it was made from") from None


def _known(kind: type[_Kind], told: Mapping[str, Any]) -> _Kind:
    """`kind` from its logged fields; those that this version no longer has are left out."""
    names = {each.name for each in fields(kind)}
    return kind(**{name: value for name, value in told.items() if name in names})


def _answer(logged: LoggedDecision, content: dict[str, Any]) -> ChatAnswer:
    call = logged.model_call or {}
    return ChatAnswer(
        content=content,
        raw=str(call.get("raw_answer")),
        model=str(call.get("model")),
        input_tokens=int(call.get("input_tokens") or 0),
        output_tokens=int(call.get("output_tokens") or 0),
        latency_ms=float(call.get("latency_ms") or 0.0),
        attempts=int(call.get("attempts") or 0),
        is_fallback=logged.how == Method.FALLBACK_MODEL,
        confidence=call.get("confidence"),
    )
