"""The durable call operator: decides on messages, asks a model where contracts leave a choice, waits for nobody.

What waits is in keyed state, so a checkpoint need not wait for a model call and a restart asks again. The key is a
shard of the workflow id: one timer per busy shard looks for answers, instead of one per message.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, wait
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pyflink.common import Row, Types
from pyflink.datastream import BroadcastStream, DataStream, KeyedBroadcastProcessFunction, RuntimeContext
from pyflink.datastream.state import MapStateDescriptor

from flink_jobs.model_process.address import ModelAddress
from flink_jobs.operators.answer_times import AnswerTimes
from flink_jobs.operators.arms_deciding import ArmsDeciding
from flink_jobs.operators.asking_again import AskingAgain, outage_limit_s
from flink_jobs.operators.catalog_in_force import CatalogInForce
from flink_jobs.operators.deciding import Concluded, Question
from flink_jobs.operators.keyed import keyed_by_first_column
from flink_jobs.operators.looks import Looks
from flink_jobs.operators.model_calls import MODEL_CALLS, ModelCalls
from flink_jobs.operators.outputs import error_record, shortened
from flink_jobs.operators.plan_keeping import PlanKeeping
from flink_jobs.operators.planning import PlanMatter
from flink_jobs.operators.records import (
    Arrived,
    from_state,
    message_type,
    outbox_type,
    read_message,
    read_record,
    to_state,
    write_row,
)
from flink_jobs.operators.shadowing import Shadow
from flink_jobs.operators.shard import Shard, Waiting, workflow_of
from flink_jobs.operators.shipped import with_own_code
from flink_jobs.operators.telling import SHARED, Telling
from flink_jobs.operators.values import Values
from pointsman.avro.codec import process_codec
from pointsman.collector import settle_collector
from pointsman.envelope import Record
from pointsman.errors import ErrorReason, PermanentError
from pointsman.logging import raised_at
from pointsman.rollouts.arms import Arms
from pointsman.routing.local_choice import LocalChooser
from pointsman.routing.router import RoutingOptions
from pointsman.settings import settings
from pointsman.shredding.cache import Sealing
from pointsman.shredding.process import check_store_is_named, process_sealing
from pointsman.topics import DEFINITIONS, MESSAGES

IDLE_TICK_MS: Final = 100
"""While there is no catalog yet there is no answer to look for."""
OUTAGE_TICK_MS: Final = 20
SHADOW_TICK_MS: Final = 50
OUTAGE_BYTES_PER_S: Final = 64 * 1024
"""What a full shard still takes in while the model is out. To take nothing would hold up checkpoints."""
_LOOK_AGAIN_S: Final = 0.05

_log: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RouteOptions:
    """What the operator is told.

    Attributes:
        routing: how to route.
        model: which model to ask.
        min_catalog: messages wait for a catalog of at least this sequence.
        local_model: a local model's file, its bytes; None where there is none.
        parallelism: parallel instances.
        python_mode: `thread` or `process`. It is part of the operator's uid: the two keep their state differently, and
            a savepoint of one must not be taken for empty by the other.
        state_ttl_s: seconds after which a plan that does not move is forgotten.
        name: the job's name, in traces.
        must_claim: an agent may act on what it gets only after it has claimed it: it may be written more than once.
        encrypted: what it writes of messages is encrypted.
    """

    routing: RoutingOptions = field(default=RoutingOptions())
    model: ModelAddress = field(default=ModelAddress())
    min_catalog: int = 0
    local_model: bytes | None = None
    parallelism: int = 1
    python_mode: str = "thread"
    state_ttl_s: int = 7 * 24 * 3600
    name: str = "pointsman-router"
    must_claim: bool = False
    encrypted: bool = False


def definitions_state() -> MapStateDescriptor:
    """The catalog's records in broadcast state."""
    return MapStateDescriptor("definitions", Types.STRING(), Types.PICKLED_BYTE_ARRAY())


def route(
    messages: DataStream, definitions: DataStream, options: RouteOptions, leads: DataStream | None = None
) -> DataStream:
    """Attach the operator.

    Args:
        messages: from `sql/counted_messages.sql`.
        definitions: from `sql/catalog_records.sql`.
        options: what it is told.
        leads: from `sql/leads_to_seal.sql`, where values are encrypted: the operator only writes them.
    """
    more = () if leads is None else (leads,)
    catalog: BroadcastStream = definitions.broadcast(definitions_state())
    decided: DataStream = (
        keyed_by_first_column(messages, Types.STRING(), message_type(), *more)
        .connect(catalog)
        .process(DurableCall(options), outbox_type())
        .name("durable call: who gets it next")
        .uid(f"durable-call-{options.python_mode}")
        .set_parallelism(options.parallelism)
    )
    return decided


class DurableCall(KeyedBroadcastProcessFunction):  # type: ignore[type-arg]  # no generic at run time
    """Decides on each message, in order within its workflow.

    Args:
        options: what it is told; clients are made in `open`, since Flink pickles the operator into the job.
    """

    def __init__(self, options: RouteOptions) -> None:
        self._options = options

    def __reduce__(self) -> tuple[Any, ...]:
        return with_own_code(DurableCall, self._options)

    def open(self, runtime_context: RuntimeContext) -> None:
        """Start where state stands."""
        self._pending = runtime_context.get_map_state(
            MapStateDescriptor("pending", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
        )
        self._cancelled = runtime_context.get_map_state(MapStateDescriptor("cancelled", Types.STRING(), Types.LONG()))
        self._kept_plans = runtime_context.get_map_state(
            MapStateDescriptor("plans", Types.STRING(), Types.PICKLED_BYTE_ARRAY())
        )
        self._is_first = _index_of_subtask(runtime_context) == 0
        self._telling = Telling(SHARED.take(), self._options.name)
        self._calls = MODEL_CALLS.take(self._options.model)
        self._values = Values(process_codec(), sealing=_sealing(encrypted=self._options.encrypted))
        self._shadow = Shadow(self._calls_beside, _now, SHARED.telemetry.metrics)
        self._again = AskingAgain(outage_limit_s())
        self._looks = Looks(AnswerTimes())
        self._local = _local_model(self._options.local_model)
        self._shards: dict[str, Shard] = {}
        self._plans: dict[Shard, PlanKeeping] = {}
        self._catalog: CatalogInForce | None = None
        self._deciding: ArmsDeciding | None = None

    def close(self) -> None:
        """Give up the calls in flight: whoever restores the state asks again."""
        for shard in getattr(self, "_shards", {}).values():
            for waiting in shard:
                if waiting.answer is not None:
                    waiting.answer.cancel()
        if hasattr(self, "_shadow"):
            self._shadow.close()
        if hasattr(self, "_calls"):
            MODEL_CALLS.give_back()
        if hasattr(self, "_telling"):
            self._telling.forget()
            SHARED.give_back(process_ends=self._options.python_mode == "process")

    def process_element(self, value: Row, ctx: KeyedBroadcastProcessFunction.ReadOnlyContext) -> Iterator[Row]:
        """Decide at once, or keep the message until the model has answered."""
        self._catalog_in_force(ctx)
        shard = self._shard(ctx)
        yield from map(write_row, self._values.beside(self._shadow.take()))
        yield from self._make_room(shard)
        waiting = Waiting(self._heeding_cancellations(shard, read_message(value, MESSAGES)))
        self._begin(waiting)
        if waiting.written is not None and not shard.holds(waiting.workflow):
            yield from self._rows(shard, waiting, waiting.written)
            if self._shadow.is_busy:
                self._tick(ctx, shard, SHADOW_TICK_MS)
            return
        self._pending.put(waiting.place, to_state(waiting.arrived))
        shard.add(waiting)
        self._tick(ctx, shard, self._next_look_ms(shard, (waiting.asked_at,)))

    def process_broadcast_element(self, value: Row, ctx: KeyedBroadcastProcessFunction.Context) -> Iterator[Row]:
        """Follow the catalog."""
        record = read_record(value, DEFINITIONS)
        state = ctx.get_broadcast_state(definitions_state())
        catalog = self._restored_catalog(state)
        before = catalog.arms
        try:
            catalog.accept(record, state)
        except PermanentError as error:
            yield from self._refuse(record, error.reason, error.detail)
        except Exception as error:
            _log.exception("a record of %s at offset %d", DEFINITIONS, record.offset)
            yield from self._refuse(
                record, ErrorReason.INVALID_DEFINITION, f"it cannot be read: {type(error).__name__}"
            )
        if catalog.arms is not before:
            self._decide_with(catalog.arms)

    def on_timer(self, timestamp: int, ctx: KeyedBroadcastProcessFunction.OnTimerContext) -> Iterator[Row]:
        """Let go what has been decided."""
        self._looks.came(_clock_ms(), timestamp)
        self._catalog_in_force(ctx)
        shard = self._shard(ctx)
        if self._deciding is not None:
            for waiting in shard.take_idle():
                self._begin(waiting)
                if not waiting.has_begun:
                    shard.put_back(waiting)
        self._ask_again()
        yield from self._leave(shard)
        yield from map(write_row, self._values.beside(self._shadow.take()))
        if shard:
            self._tick(ctx, shard, self._next_look_ms(shard, shard.asked_at()))
        elif self._shadow.is_busy:
            self._tick(ctx, shard, SHADOW_TICK_MS)

    def _heeding_cancellations(self, shard: Shard, arrived: Arrived) -> Arrived:
        """`arrived`, cancelled if its workflow is. Unlike counts, a cancellation is never forgotten."""
        workflow = workflow_of(arrived.record)
        if arrived.is_cancelled and workflow not in shard.cancelled:
            self._cancelled.put(workflow.hex(), arrived.record.timestamp_ms)
            shard.cancelled.add(workflow)
        is_cancelled = workflow in shard.cancelled
        return arrived if arrived.is_cancelled == is_cancelled else arrived._replace(is_cancelled=is_cancelled)

    def _begin(self, waiting: Waiting) -> None:
        if self._deciding is None:
            return
        record = self._values.readable(waiting.arrived.record)
        if record is None:
            return  # it stays idle until its schema and its key are known
        if record is not waiting.arrived.record:
            waiting.arrived = waiting.arrived._replace(record=record)
        if not waiting.arrived.is_message:
            waiting.decide([record])
            return
        self._telling.arrived(record)
        begun = self._deciding.begin(waiting.arrived)
        if isinstance(begun, Question):
            with self._telling.asking(waiting.arrived.record):
                answer = self._calls.submit(begun.request)
            waiting.ask(begun, answer, self._looks.watch(answer))
            self._again.watch(waiting)
        else:
            waiting.decide(begun)

    def _ask_again(self) -> None:
        # Of all shards at once: to ask touches no state. A catalog that came meanwhile may make it needless.
        for waiting in self._again.take_due():
            self._begin(waiting)

    def _leave(self, shard: Shard) -> Iterator[Row]:
        for waiting, concluded in shard.leave(lambda waiting: self._values.is_ready(waiting.arrived.record)):
            self._pending.remove(waiting.place)
            yield from self._rows(shard, waiting, concluded)

    def _rows(self, shard: Shard, waiting: Waiting, concluded: Concluded) -> Iterator[Row]:
        """What a message writes that leaves now; a plan moves on with it."""
        plans = self._plans[shard]
        records = plans.settle(concluded, _now()) if isinstance(concluded, PlanMatter) else concluded
        written = self._values.all_written(plans.shown(records))
        yield from map(write_row, self._telling.leaving(waiting.arrived.record, written))

    def _make_room(self, shard: Shard) -> Iterator[Row]:
        """Back-pressure: while the shard is full, its next message waits for an answer."""
        while shard.is_full:
            self._ask_again()
            yield from self._leave(shard)
            if not shard.is_full:
                return
            answers = [head.answer for head in shard.heads() if head.answer is not None]
            if not answers or self._again:
                # Without a catalog no answer will come, and the catalog comes in through this very thread. While the
                # model is out, checkpoints must go on, and they come through here too. So: only slow.
                time.sleep(max(_LOOK_AGAIN_S, shard.mean_size / OUTAGE_BYTES_PER_S if self._again else 0.0))
                return
            wait(answers, timeout=_LOOK_AGAIN_S, return_when=FIRST_COMPLETED)

    def _shard(self, ctx: Any) -> Shard:
        key = ctx.get_current_key()
        if key not in self._shards:
            shard = self._shards[key] = Shard({bytes.fromhex(workflow) for workflow, _ in self._cancelled.items()})
            self._plans[shard] = PlanKeeping(self._kept_plans, timedelta(seconds=self._options.state_ttl_s))
            for _, kept in sorted(self._pending.items()):
                shard.add(Waiting(from_state(kept)))
        return self._shards[key]

    def _catalog_in_force(self, ctx: Any) -> None:
        if self._catalog is None:
            self._restored_catalog(ctx.get_broadcast_state(definitions_state()))

    def _restored_catalog(self, state: Any) -> CatalogInForce:
        if self._catalog is None:
            self._catalog = CatalogInForce(self._options.routing, self._options.min_catalog, self._local)
            try:
                self._catalog.restore(state)
            except PermanentError:
                _log.exception("the catalog in state cannot be used; messages wait for the next one")
            self._decide_with(self._catalog.arms)
        return self._catalog

    def _decide_with(self, arms: Arms | None) -> None:
        if arms is not None:
            if self._deciding is None:
                settle_collector()
            self._deciding = ArmsDeciding(
                arms, _now, self._report_fault, self._telling.decided, self._shadow, must_claim=self._options.must_claim
            )
            catalog, rollout = arms.baseline.router.catalog, arms.rollout
            _log.info("catalog %d (%s) is in force", catalog.sequence, catalog.version)
            if rollout is not None:
                _log.info("rollout %s: %s, %d %%", rollout.id, rollout.stage.value, rollout.percent)

    def _calls_beside(self) -> ModelCalls:
        return MODEL_CALLS.to(replace(self._options.model, is_shadow=True))

    def _report_fault(self, arrived: Arrived, error: Exception) -> None:
        self._telling.faulted(error)
        # Where, without the exception's text, which may quote the record.
        about = self._telling.log_ids(arrived.record)
        _log.error("routing failed with %s at %s (%s)", type(error).__name__, raised_at(error), about)

    def _refuse(self, record: Record, reason: ErrorReason, detail: str) -> Iterator[Row]:
        # Every parallel instance reads the whole catalog: only one of them reports.
        if self._is_first:
            arms = self._catalog.arms if self._catalog else None
            catalog = arms.baseline.router.catalog.version if arms else None
            yield write_row(shortened(error_record(record, reason, detail, _now(), catalog)))

    def _next_look_ms(self, shard: Shard, asked_at: Iterable[float]) -> int:
        if self._deciding is None:
            return IDLE_TICK_MS
        if self._again:
            return OUTAGE_TICK_MS
        return self._looks.next_ms(shard, asked_at)

    def _tick(self, ctx: Any, shard: Shard, after_ms: int) -> None:
        """Have a look at `shard` in `after_ms`, unless an earlier one is due: each costs a way from Java to Python."""
        now = _clock_ms()
        at = now + after_ms
        if not now < shard.looks_at_ms <= at:
            shard.looks_at_ms = at
            ctx.timer_service().register_processing_time_timer(at)


def _index_of_subtask(runtime_context: RuntimeContext) -> int:
    # Flink 2.3's thread mode asks its Java context for a method that has moved to the task info.
    in_thread_mode = getattr(runtime_context, "_runtime_context", None)
    if in_thread_mode is not None:
        return int(in_thread_mode.getTaskInfo().getIndexOfThisSubtask())
    return int(runtime_context.get_index_of_this_subtask())


def _sealing(*, encrypted: bool) -> Sealing | None:
    """What opens and seals; a job that must encrypt does not start where it could not.

    Raises:
        ConfigurationError: it is to encrypt, and this process has no keys, or was not told where the data keys are.
    """
    if encrypted:
        check_store_is_named(settings())
    return process_sealing(writes=encrypted)


def _local_model(content: bytes | None) -> LocalChooser | None:
    if content is None:
        return None
    # numpy is loaded only where there is a model to use.
    from pointsman.local_model import from_bytes

    model = from_bytes(content)
    _log.info("local model %s", model.version)
    return model


def _clock_ms() -> int:
    return time.time_ns() // 1_000_000


def _now() -> datetime:
    return datetime.now(UTC)
