"""What the router tells of each message: its spans and metrics. Kept in memory only; a restart begins them anew."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from opentelemetry import trace
from opentelemetry.trace import Span

from flink_jobs.operators.records import Arrived, place_of
from flink_jobs.telemetry import SERVICE, router_telemetry
from pointsman.envelope import Record
from pointsman.errors import PointsmanError
from pointsman.routing.decision import Decision, Outcome
from pointsman.settings import settings
from pointsman.telemetry import Telemetry, names
from pointsman.telemetry.context import trace_id_in, trace_id_of
from pointsman.telemetry.endpoint import MetricsEndpoint
from pointsman.telemetry.spans import Attributes, bound_ids, failed, in_context_of
from pointsman.topics import DECISIONS, WORKFLOW_STATE

_AT_ONCE: Final = nullcontext()

_log: Final = logging.getLogger(__name__)


class Told:
    """One message at the router, from its arrival until its decision leaves.

    Attributes:
        began: monotonic time of its arrival, in seconds.
        decision: the decision, once there is one.
        process: the consumer's span; None while no traces are written.
        flow: the span of the decision in it.
    """

    __slots__ = ("began", "decision", "flow", "process")

    def __init__(self, began: float, process: Span | None, flow: Span | None) -> None:
        self.began = began
        self.process = process
        self.flow = flow
        self.decision: Decision | None = None


class Telling:
    """Tells of the messages of one operator instance. For the operator's own thread.

    A decision's spans end when it leaves the operator, so that what a restart throws away is never told.

    Args:
        telemetry: the process's.
        name: the job's name.
        monotonic: a clock in seconds that never goes back.
    """

    def __init__(self, telemetry: Telemetry, name: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._spans = telemetry.spans
        self._metrics = telemetry.metrics
        self._name = name
        self._monotonic = monotonic
        self._told: dict[str, Told] = {}
        self._waiting = self._metrics.waiting

    def arrived(self, record: Record) -> None:
        """`record` is looked at; again when it was there before."""
        place = place_of(record)
        if place in self._told:
            return
        process = flow = None
        if self._spans.is_on:
            process = self._spans.process(record, self._name)
            flow = self._spans.start(f"invoke_workflow {self._name}", process, self._about(record))
        self._told[place] = Told(self._monotonic(), process, flow)
        self._waiting.inc()

    def asking(self, record: Record) -> AbstractContextManager[object]:
        """Around the start of a model call, so that its span becomes a child of the decision's."""
        told = self._told.get(place_of(record))
        if told is None or told.flow is None:
            return _AT_ONCE
        return trace.use_span(told.flow, record_exception=False, set_status_on_exception=False)

    def decided(self, arrived: Arrived, decision: Decision) -> None:
        """`decision` was made."""
        told = self._told.get(place_of(arrived.record))
        if told is not None:
            told.decision = decision

    def leaving(self, record: Record, written: list[Record]) -> list[Record]:
        """The decision on `record` leaves as `written`: the same records, each with its creation context."""
        told = self._told.pop(place_of(record), None)
        if told is None:
            return written
        self._waiting.dec()
        self._count(told)
        if told.process is None or told.flow is None:
            return written
        return self._ended(told.process, told.flow, told.decision, written)

    def log_ids(self, record: Record) -> str:
        """Workflow, message and trace of `record` as a log line names them."""
        told = self._told.get(place_of(record))
        own = trace_id_of(told.process) if told and told.process else None
        ids = bound_ids(record.headers, own or trace_id_in(record.headers))
        return " ".join(f"{name}={value!r}" for name, value in ids.items())

    def faulted(self, error: Exception) -> None:
        """Routing failed with a defect."""
        self._metrics.router_faults.labels(type(error).__name__).inc()

    def forget(self) -> None:
        """The operator stops: what has not left is not told."""
        self._waiting.dec(len(self._told))
        self._told.clear()

    def _about(self, record: Record) -> Attributes:
        about: Attributes = {names.GEN_AI_OPERATION: "invoke_workflow", names.GEN_AI_WORKFLOW_NAME: self._name}
        hop = record.headers.get("ce_hop", b"0")
        return about | {names.APP_HOP: int(hop)} if hop.isdigit() and len(hop) < 10 else about

    def _count(self, told: Told) -> None:
        decision = told.decision
        method = decision.how.value if decision else "fault"
        self._metrics.routing.labels(method).observe(self._monotonic() - told.began)
        if decision:
            labels = (decision.outcome.value, method, decision.agent or "", decision.reason_code)
            self._metrics.decisions.labels(*labels).inc()
        if decision and decision.model_call and decision.model_call.opinions:
            self._metrics.weighed.labels("no" if decision.model_call.confidence is None else "yes").inc()

    def _ended(self, process: Span, flow: Span, decision: Decision | None, written: list[Record]) -> list[Record]:
        records = [self._sent(flow, record) for record in written]
        if decision:
            flow.set_attributes(_of(decision))
        if decision is None or decision.outcome is Outcome.REJECTED:
            for span in (flow, process):
                failed(span, decision.reason_code if decision else "agent_fault")
        flow.end()
        process.end()
        return records

    def _sent(self, flow: Span, record: Record) -> Record:
        if record.topic == WORKFLOW_STATE:
            return record
        if record.topic == DECISIONS:  # the log, which nobody consumes as a message: it names the decision's span
            return in_context_of(flow, record)
        sent, span = self._spans.send(record, flow)
        span.end()
        return sent


def _of(decision: Decision) -> Attributes:
    return {
        names.APP_CANDIDATES: sum(candidate.fits for candidate in decision.candidates),
        names.APP_OUTCOME: decision.outcome.value,
        names.APP_METHOD: decision.how.value,
        names.APP_REASON_CODE: decision.reason_code,
        names.GEN_AI_AGENT_NAME: decision.agent or "",
    }


class Shared:
    """The telemetry of one process, made by the first operator in it.

    In thread mode a process outlives its jobs: its endpoint closes with the last operator, since the next job, perhaps
    with other code, wants the same port. Counts and the queue of spans go on.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._telemetry: Telemetry | None = None
        self._endpoint: MetricsEndpoint | None = None

    @property
    def telemetry(self) -> Telemetry:
        """Spans and metrics of the process."""
        with self._lock:
            return self._made()

    def take(self) -> Telemetry:
        """The same, for an operator that starts and will `give_back`."""
        with self._lock:
            self._users += 1
            telemetry = self._made()
            if self._users == 1:
                self._endpoint = _endpoint(telemetry)
            return telemetry

    def give_back(self, *, process_ends: bool) -> None:
        """An operator stops.

        Args:
            process_ends: the process ends with its last operator: what is queued is delivered within two seconds or
                lost. Otherwise the queue's own thread goes on, and a restart of the job waits for nobody.
        """
        with self._lock:
            self._users -= 1
            if self._users == 0:
                if self._endpoint:
                    self._endpoint.close()
                if process_ends:
                    self._made().flush()

    def _made(self) -> Telemetry:
        if self._telemetry is None:
            self._telemetry = router_telemetry()
        return self._telemetry


def _endpoint(telemetry: Telemetry) -> MetricsEndpoint | None:
    try:
        return MetricsEndpoint.of(settings(), telemetry.metrics.registry, SERVICE)
    except (PointsmanError, OSError) as error:
        _log.error("metrics cannot be shown (%s): check POINTSMAN_METRICS_*", type(error).__name__)
        return None


SHARED: Final = Shared()
