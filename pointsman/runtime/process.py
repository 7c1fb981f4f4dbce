"""One agent process: puts catalog, handlers and the consuming loop together, from start to a clean stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from pointsman.catalog import Catalog, CatalogReader
from pointsman.definitions import AgentDefinition
from pointsman.envelope import Record
from pointsman.errors import BrokerUnavailableError, ConfigurationError, EffectsStoppedError, PointsmanError
from pointsman.kafka import accepted, load_catalog, load_effects_control, tail
from pointsman.kafka.inbox import KafkaInbox
from pointsman.knowledge import Retriever
from pointsman.knowledge.retrieval import IndexRetriever
from pointsman.models import ChatModel
from pointsman.models.factory import chat_model
from pointsman.rollouts.versions import VersionReader
from pointsman.runtime import declarative
from pointsman.runtime.agent import Agent, AgentContext
from pointsman.runtime.claims import Claims
from pointsman.runtime.consuming import Consuming, Delivery
from pointsman.runtime.effects_switch import EffectsSwitch
from pointsman.runtime.following import Following
from pointsman.runtime.handling import ActiveAgent, Handling
from pointsman.runtime.lanes import Lanes
from pointsman.runtime.metering import MeteredModel
from pointsman.runtime.model_choice import chosen_model
from pointsman.runtime.port import Inbox
from pointsman.runtime.schedule import speak_when_due
from pointsman.runtime.sole import sole_instance
from pointsman.runtime.stuck import watch_commits
from pointsman.settings import Settings
from pointsman.shredding.values import ValueCodec, process_values
from pointsman.store import DocumentStore
from pointsman.stores import open_store
from pointsman.telemetry import Telemetry
from pointsman.telemetry.agent_work import AgentWork
from pointsman.topics import CONTROLS, DEFINITIONS

Build = Callable[[AgentContext], Agent]

# Together under the 10 s that a supervisor grants.
_FINISH_WITHIN_S: Final = 6.0
_LEAVE_WITHIN_S: Final = 3.0
_CLOSE_WITHIN_S: Final = 0.5
_LOOK_AGAIN_S: Final = 1.0

_log = structlog.get_logger(__name__)


def run_agent(name: str, settings: Settings, build: Build | None, version: str | None = None) -> None:
    """Run the agent called `name` until SIGTERM or SIGINT.

    Args:
        name: the agent's name in the catalog.
        settings: the process's settings; `instance` names this process among those of the agent.
        build: the module's `build`; None for the declarative agent.
        version: run that version of the agent, beside the one in force, on an inbox of its own.

    Raises:
        ConfigurationError: a person must change something.
        PointsmanError: Kafka's clients are of no use any more; the supervisor starts the process anew.
    """
    structlog.contextvars.bind_contextvars(agent=name, instance=settings.instance)
    with sole_instance(settings.data_dir / "run", settings.kafka_bootstrap, name, settings.instance):
        asyncio.run(_serve(name, settings, build or declarative.build, version))


async def _serve(name: str, settings: Settings, build: Build, version: str | None) -> None:
    telemetry = Telemetry.of(settings, f"agent/{name}")
    model = MeteredModel(chat_model(settings, telemetry))
    store = open_store(settings)
    knowledge = IndexRetriever.of(settings)
    effects = EffectsSwitch()
    try:
        process = AgentProcess(
            name,
            KafkaInbox(settings.kafka_bootstrap, name, settings.instance, version, returns=settings.instance_returns),
            _builder(build, settings, model, store, knowledge, effects, telemetry),
            effects,
            Claims(store, _now),
            telemetry,
            process_values(),
        )
        _on_signals(process.stop)
        _start_thread("following", lambda: _follow(settings.kafka_bootstrap, process, name, version), process.fail)
        await process.serve()
    finally:
        await model.close()
        await knowledge.close()
        await store.close()
        telemetry.close()


class AgentProcess:
    """An agent at work. `serve` runs it; the other methods may be called from any thread.

    Make it inside a running event loop.

    Args:
        name: the agent's name.
        inbox: its inbox.
        build: makes the agent of a definition.
        effects: the kill switch.
        claims: who acts on a message that the router may write more than once.
        telemetry: hears of each message.
        codec: reads and writes Avro and what is encrypted; None where neither is configured.
    """

    def __init__(
        self,
        name: str,
        inbox: Inbox,
        build: Callable[[AgentDefinition], Agent],
        effects: EffectsSwitch,
        claims: Claims,
        telemetry: Telemetry | None = None,
        codec: ValueCodec | None = None,
    ) -> None:
        self._codec = codec
        self._loop = asyncio.get_running_loop()
        self._over: asyncio.Future[None] = self._loop.create_future()
        self._ready = asyncio.Event()
        self.stopping = threading.Event()
        self._following = Following(name, build)
        self._effects = effects
        self._handling = Handling(self._in_force, _now, claims, codec=codec)
        self._work = AgentWork(telemetry or Telemetry(), name)
        self._lanes: Lanes[Delivery] = Lanes(self._handle, self._in_flight)
        self._consuming = Consuming(inbox, self._deliver, self._in_flight, self.stopping)

    def catalog_applied(self, catalog: Catalog) -> None:
        """A catalog is in force."""
        self._call(self._take, catalog)

    def effects_read(self, record: Record | None) -> None:
        """The kill switch stands as `record` says; None: nobody has ever touched it."""
        self._call(self._effects.start_with, record)

    def stop(self) -> None:
        """End `serve` in good order."""
        self._call(self._end, None)

    def fail(self, error: BaseException) -> None:
        """End `serve` with `error`."""
        self._call(self._end, error)

    async def serve(self) -> None:
        """Work until `stop` or `fail`.

        Raises:
            PointsmanError: what made it fail.
        """
        ready = asyncio.ensure_future(self._ready.wait())
        waited_for: list[asyncio.Future[Any]] = [ready, self._over]
        await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._over.done():
            return self._over.result()
        thread = _start_thread("consuming", self._consuming.run, self.fail)
        schedule = asyncio.create_task(speak_when_due(lambda: self._following.active, self._emit, _now))
        watch = asyncio.create_task(watch_commits(lambda: self._consuming.commit_began, self.fail))
        try:
            await asyncio.shield(self._over)
        finally:
            schedule.cancel()
            watch.cancel()
            await self._wind_down(thread)

    async def _wind_down(self, thread: threading.Thread) -> None:
        """Finish what runs, write it, leave the group."""
        self.stopping.set()
        self._lanes.drop_waiting()
        await self._lanes.finish(_FINISH_WITHIN_S)
        closing = asyncio.ensure_future(self._following.close())
        self._consuming.end()
        await asyncio.to_thread(thread.join, _LEAVE_WITHIN_S)
        if thread.is_alive():
            # A client that waits for an absent broker would hold the interpreter back at exit.
            _log.error("Kafka did not answer in time to leave the group; leaving without")
            os._exit(1)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(closing, _CLOSE_WITHIN_S)
        _log.info("stopped")

    def _take(self, catalog: Catalog) -> None:
        try:
            self._following.take(catalog)
        except ConfigurationError as error:
            self._end(error)
        if self._following.active:
            self._ready.set()

    def _end(self, error: BaseException | None) -> None:
        if self._over.done():
            return
        if error:
            self._over.set_exception(error)
        else:
            self._over.set_result(None)

    def _in_force(self) -> ActiveAgent:
        active = self._following.active
        if active is None:
            raise ConfigurationError("no definition of this agent is in force", "run `pointsman agents apply`")
        return active

    def _in_flight(self) -> int:
        return self._in_force().definition.limits.in_flight

    def _deliver(self, delivery: Delivery) -> None:
        key = delivery.record.key
        # Records without a key have no order to keep, but they are no messages either.
        workflow = "" if key is None else key.decode(errors="backslashreplace")
        self._call(self._lanes.submit, workflow, delivery)

    async def _handle(self, delivery: Delivery) -> None:
        while delivery.is_ours and not self._over.done():
            try:
                meant = self._following.meant_by(delivery.record) or self._in_force()
                with self._work.on(delivery.record, meant.definition) as work:
                    answer = self._handling.answer(delivery.record, lambda: delivery.is_ours, meant)
                    records = work.sending(await answer)
            except EffectsStoppedError:
                await self._wait_for_effects(delivery.record)
            except ConfigurationError as error:
                self._end(error)
            else:
                self._consuming.finish(delivery, records, work.committed)
                return

    async def _wait_for_effects(self, record: Record) -> None:
        """Until effects are started, or the process ends; its lane waits with it, others pass."""
        _log.info("effects are stopped, the message waits", partition=record.partition, offset=record.offset)
        started = asyncio.ensure_future(self._effects.until_allowed())
        waited_for: list[asyncio.Future[Any]] = [started, self._over]
        try:
            await asyncio.wait(waited_for, return_when=asyncio.FIRST_COMPLETED)
        finally:
            started.cancel()
        await asyncio.sleep(_LOOK_AGAIN_S / 10)  # an agent that says so by mistake must not spin

    async def _emit(self, records: Sequence[Record]) -> None:
        if codec := self._codec:
            records = await asyncio.to_thread(codec.all_written, records)
        written: asyncio.Future[None] = self._loop.create_future()
        work, sent = self._work.due(records)
        self._consuming.emit(sent, lambda: self._call(_resolve, written))
        await written
        work.committed()

    def _call(self, function: Callable[..., None], *arguments: object) -> None:
        # The loop may be closed already when a thread speaks up late; nobody needs the news then.
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(function, *arguments)


def _follow(bootstrap: str, process: AgentProcess, name: str, version: str | None) -> None:
    reader = CatalogReader() if version is None else VersionReader(name, version)
    while not process.stopping.is_set():
        try:
            process.effects_read(load_effects_control(bootstrap))
            if version is None:
                process.catalog_applied(load_catalog(bootstrap))
            break
        except BrokerUnavailableError as error:
            _log.warning("waiting for Kafka", problem=str(error))
            process.stopping.wait(_LOOK_AGAIN_S)
    for record in tail(bootstrap, [DEFINITIONS, CONTROLS], from_beginning=True, stop=process.stopping):
        if record.topic == CONTROLS:
            process.effects_read(record)
        elif catalog := accepted(reader, record):
            process.catalog_applied(catalog)


def _builder(
    build: Build,
    settings: Settings,
    model: ChatModel,
    store: DocumentStore,
    knowledge: Retriever,
    effects: EffectsSwitch,
    telemetry: Telemetry,
) -> Callable[[AgentDefinition], Agent]:
    def make(definition: AgentDefinition) -> Agent:
        context = AgentContext(
            definition=definition,
            model=chosen_model(definition, model, store, settings.model, _now),
            store=store,
            settings=settings,
            now=_now,
            effects_allowed=effects.is_allowed,
            knowledge=knowledge,
            telemetry=telemetry,
        )
        return build(context)

    return make


def _start_thread(name: str, work: Callable[[], None], fail: Callable[[BaseException], None]) -> threading.Thread:
    # A thread starts with an empty context: without this its log lines would not name the agent.
    bound = structlog.contextvars.get_contextvars()

    def run() -> None:
        structlog.contextvars.bind_contextvars(**bound)
        try:
            work()
        except PointsmanError as error:
            fail(error)
        except Exception as error:
            _log.error("a thread of the runtime failed", thread=name, exc_info=error)
            fail(error)

    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()
    return thread


def _on_signals(stop: Callable[[], None]) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _now() -> datetime:
    return datetime.now(UTC)
