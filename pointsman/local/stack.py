"""The local stack: starts, watches and stops real parts on this machine."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property, partial
from signal import Signals
from threading import Event
from typing import Final

import psutil

from pointsman.catalog_history import Author
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.deployment import kafka_users
from pointsman.errors import ConfigurationError, PointsmanError, TransientError
from pointsman.job_health import job_runs, refuse_failing_job
from pointsman.job_options import JobOptions
from pointsman.kafka import KafkaAdmin, load_catalog
from pointsman.local import ports as stack_ports
from pointsman.local.addresses import Addresses, metrics_folder
from pointsman.local.archivejob import submit_archive_job
from pointsman.local.component import Component
from pointsman.local.flink import Flink
from pointsman.local.granting import admit_agents, ensure_logins, give_kafka_rights
from pointsman.local.intents import Intent, to_start, to_stop
from pointsman.local.jars import ensure_jars
from pointsman.local.java import Java
from pointsman.local.layout import Layout
from pointsman.local.leftovers import end_processes_of, processes_of
from pointsman.local.locks import locked
from pointsman.local.options import StackOptions
from pointsman.local.parts import LAST_TO_STOP, Part, fixed_parts, port_of, programs_of
from pointsman.local.preflight import preflight
from pointsman.local.progress import Progress, Silent
from pointsman.local.routerjob import stop_router_job, submit_router_job
from pointsman.local.security import Logins
from pointsman.local.services import agents, agents_among
from pointsman.local.status import ProgramStatus, status_of
from pointsman.local.steps import Step, run_steps
from pointsman.local.supervision import Supervisor
from pointsman.local.working_state import remove_folder
from pointsman.publish import KafkaCatalogTopic, apply
from pointsman.rollouts.topic import KafkaRolloutTopic
from pointsman.rollouts.versions import versions_of
from pointsman.telemetry.endpoint import ports_in
from pointsman.topics import ALL

READY_WITHIN_S: Final = 120.0
_LOOK_AGAIN_S: Final = 0.05
_LOOK_AT_STATES_S: Final = 1.0
_SAVEPOINT_WITHIN_S: Final = 20.0


class LocalStack:
    """Real Kafka, MongoDB, Connect, Flink, mailbox, model, page, agents and router job in one data folder.

    Args:
        options: what the caller chose.
    """

    def __init__(self, options: StackOptions) -> None:
        self.options = options
        self._layout = Layout(data_dir=options.data_dir.resolve(), shared_jars=options.jars_dir)
        self._supervisor = Supervisor(self._layout)
        self._stopped = Event()
        self._moves = False
        self._told: JobOptions | None = None

    @cached_property
    def addresses(self) -> Addresses:
        """Where the parts listen.

        Raises:
            ConfigurationError: a chosen port has an unknown name or is no port.
        """
        ports = stack_ports.resolve(self._layout.ports_file, self.options.ports, free=self.options.free_ports)
        logins = Logins(self._layout.data_dir) if self.options.secure else None
        return Addresses(data_dir=self._layout.data_dir, ports=ports, logins=logins)

    def up(self, progress: Progress | None = None, *, only: Collection[str] | None = None) -> None:
        """Start what does not run yet, and return when all of it does its work.

        A running stack gets as many TaskManagers as the options want, and the router job their parallelism: it stops
        with a savepoint and goes on from it.

        Args:
            progress: hears of every step.
            only: names of steps to run and no others: `kafka`, `topics`, `mongod`, `connect`, `flink`, `smtp`, `model`,
                `console`, `metrics`, `definitions`, `agents`, `router job`, `archive job`; None runs all.

        Raises:
            ConfigurationError: something is missing or in the way; nothing was started, or a part does not start.
            TransientError: a part does not become ready in time.
        """
        self._layout.data_dir.mkdir(parents=True, exist_ok=True)
        with locked(self._layout.lock_file, wait=False):
            heard = progress or Silent()
            java = self._prepare(heard)
            ensure_logins(self.addresses, kafka_users())
            parts = fixed_parts(self._layout, java.executable, self.addresses, self.options)
            self._supervise(parts, heard)
            self._stopped.clear()
            run_steps(self._steps(parts, java, only), heard, self._stopped)

    def down(self, progress: Progress | None = None) -> None:
        """Stop everything, also what an earlier supervisor left behind; state, logs and jars stay."""
        if not self._layout.data_dir.is_dir():
            return
        self._stopped.set()
        with locked(self._layout.lock_file, wait=False):
            steps = [
                Step(name="savepoint", action=self._leave_savepoint),
                Step(name="stop", action=self._stop_programs, after=("savepoint",)),
                Step(name="tidy", action=self._tidy, after=("stop",)),
            ]
            run_steps(steps, progress or Silent(), Event())

    def status(self) -> list[ProgramStatus]:
        """Every program of the stack; empty when it is down."""
        ports = stack_ports.kept(self._layout.ports_file)
        restarts = self._supervisor.restarts()
        metrics = metrics_folder(self._layout.data_dir)
        return [
            status_of(
                state,
                port_of(state.name, ports),
                restarts.get(state.name, 0),
                tuple(ports_in(metrics, state.name)) if state.pid else (),
            )
            for state in self._supervisor.states()
        ]

    def would_start(self) -> list[Intent]:
        """What `up` would do to each program; nothing is changed."""
        return to_start(self._layout, self.addresses, self.options, self._supervisor.states())

    def would_stop(self) -> list[Intent]:
        """What `down` would do to each program; nothing is changed."""
        return to_stop(self._supervisor.states(), self.addresses)

    def restart(self, name: str) -> None:
        """Stop the programs called `name` and start them again; `taskmanager` means all TaskManagers.

        Raises:
            ConfigurationError: there is no such program, or it does not start.
            TransientError: it does not answer in time.
        """
        for program in self._programs_named(name):
            self._supervisor.stop(program)
            self._supervisor.start(program)
            port = port_of(program, self.addresses.ports)
            self._wait(program, (program,), partial(_answers, port))

    def kill(self, name: str, signal: Signals = Signals.SIGKILL) -> list[int]:
        """Send `signal` to the programs called `name`, for fault tests; the pids that got it.

        Raises:
            ConfigurationError: there is no such program.
        """
        names = self._programs_named(name)
        pids = [state.pid for state in self._supervisor.states() if state.name in names and state.pid]
        for pid in pids:
            os.kill(pid, signal)
        return pids

    def processes(self) -> list[psutil.Process]:
        """Live processes of this stack, supervisor and children's children included."""
        return processes_of(self._layout.data_dir)

    def _prepare(self, progress: Progress) -> Java:
        """Everything that is checked or fetched before a process starts."""
        if self._supervisor.is_running():
            self._refuse_other_options()
        else:
            end_processes_of(self._layout.data_dir)
            if self.addresses.logins:
                # Not while it runs: what runs trusts the certificates that it has read.
                self.addresses.logins.prepare()
        held = {status.port for status in self.status() if status.pid}
        wanted = {name: port for name, port in self.addresses.ports.items() if not self._holds(name, held)}
        if not self.options.secure:
            wanted.pop("kafka-admin", None)
        java = preflight(self._layout, wanted, self.options.java_home)
        run_steps([Step(name="jars", action=lambda: ensure_jars(self._layout))], progress, Event())
        return java

    def _refuse_other_options(self) -> None:
        differences = self.options.differences(self.options.as_running(self._layout.options_file))
        if differences:
            raise ConfigurationError(
                f"the stack in {self._layout.data_dir} runs with {'; '.join(differences)}",
                "run `pointsman down` first",
            )

    def _holds(self, name: str, held: Collection[int | None]) -> bool:
        """Whether the running stack has the port called `name`; second ports belong to the program of the first."""
        return self.addresses.ports[name.partition("-")[0]] in held

    def _supervise(self, parts: list[Part], progress: Progress) -> None:
        if self._supervisor.is_running():
            before = self.options.as_running(self._layout.options_file).parallelism
            if before != self.options.parallelism:
                run_steps([Step(name="rescale", action=partial(self._rescale, parts, before))], progress, Event())
        else:
            stack_ports.keep(self._layout.ports_file, self.addresses.ports)
            self.options.save(self._layout.options_file)
            self._supervisor.configure(programs_of(parts))
            self._supervisor.start_supervisord()
            self._wait_until(self._supervisor.is_running, "supervisord")
        self.addresses.write(
            self._layout.stack_file,
            offline_model=not self.options.own_model,
            mail_sink=not self.options.own_mail,
            archive=self._layout.archive if self.options.archive else None,
        )

    def _rescale(self, parts: list[Part], before: int) -> None:
        """Give the supervisor as many TaskManagers as are wanted; the next steps start them and move the job."""
        self._moves = True
        if self.options.parallelism < before:  # it may run on one that goes; else it works until the others are there
            self._told = stop_router_job(self.addresses.flink_url)
        names, versions = agents_among(state.name for state in self._supervisor.states())
        running = agents(names, self.addresses, self.options, versions)
        self._supervisor.configure([*programs_of(parts), *running.programs])
        for part in parts:
            if isinstance(part.component, Flink):
                part.component.leave_metrics_targets()
        self.options.save(self._layout.options_file)

    def _steps(self, parts: list[Part], java: Java, only: Collection[str] | None) -> list[Step]:
        steps = [
            *(Step(name=part.name, action=partial(self._start, part.component), after=part.after) for part in parts),
            self._patient_step("topics", self._ensure_topics, after=("kafka",)),
            self._patient_step("definitions", self._apply_definitions, after=("topics",)),
            self._patient_step(
                "agents", partial(self._start_agents, parts), after=("definitions", "mongod", "smtp", "model")
            ),
        ]
        if self.options.submit_job:
            submit = partial(self._submit_job, java)
            steps.append(self._patient_step("router job", submit, after=("flink", "definitions", "model")))
        if self.options.archive:
            archive = partial(submit_archive_job, self._layout, java.executable, self.addresses)
            steps.append(self._patient_step("archive job", archive, after=("flink", "topics")))
        return [step for step in steps if only is None or step.name in only]

    def _patient_step(self, name: str, action: Callable[[], None], after: tuple[str, ...]) -> Step:
        """A step that talks to parts which have only just started, and may say so for some more moments."""
        return Step(name=name, action=partial(self._wait_until, partial(_is_done, action), name), after=after)

    def _submit_job(self, java: Java) -> None:
        if self._moves:
            self._told = stop_router_job(self.addresses.flink_url) or self._told
        job_id = submit_router_job(self._layout, java.executable, self.addresses, self.options, self._told)
        self._moves, self._told = False, None
        flink_url, began_ms = self.addresses.flink_url, int(time.time() * 1000)
        self._wait_until(
            lambda: job_runs(flink_url, job_id),
            "the router job",
            lambda: refuse_failing_job(flink_url, job_id, began_ms),
        )

    def _ensure_topics(self) -> None:
        KafkaAdmin(*self.addresses.kafka_admin).ensure_topics(ALL)
        give_kafka_rights(self.addresses, kafka_users())

    def _apply_definitions(self) -> None:
        """Put the folder's definitions in force the first time; afterwards only `pointsman agents apply` does."""
        broker, folder = self.addresses.kafka_admin, self.options.definitions_dir
        if folder is not None and not load_catalog(*broker).definitions:
            author = Author(by="pointsman up", at=datetime.now(UTC))
            move = apply(KafkaCatalogTopic(*broker), load_folder_or_raise(folder).definitions, author=author)
            # A commit is acknowledged before readers see it, and the next steps read which agents there are.
            self._wait_until(lambda: load_catalog(*broker).sequence >= move.after.sequence, "the catalog")

    def _start_agents(self, parts: list[Part]) -> None:
        names = self.options.agents
        if names is None:
            names = tuple(load_catalog(*self.addresses.kafka_admin).definitions)
        admit_agents(self.addresses, names)
        versions = versions_of(KafkaRolloutTopic(*self.addresses.kafka_admin).rollout())
        service = agents(names, self.addresses, self.options, [one for one in versions if one[0] in names])
        self._supervisor.configure([*programs_of(parts), *service.programs])
        self._start(service)

    def _start(self, component: Component) -> None:
        names = tuple(program.name for program in component.programs)
        states = {state.name: state for state in self._supervisor.states()}
        if not any(states[name].pid for name in names):
            component.prepare()
        for name in names:
            self._supervisor.start(name)
        self._wait(names[0] if names else "nothing", names, component.is_ready)

    def _wait(self, what: str, programs: Collection[str], is_ready: Callable[[], bool]) -> None:
        self._wait_until(is_ready, what, lambda: self._supervisor.refuse_failed(programs))

    def _wait_until(self, is_ready: Callable[[], bool], what: str, look: Callable[[], None] = lambda: None) -> None:
        began = looked = time.monotonic()
        while not is_ready():
            now = time.monotonic()
            if self._stopped.is_set():
                raise TransientError(f"waiting for {what} was given up")
            if now - began > READY_WITHIN_S:
                raise TransientError(f"{what} was not ready within {READY_WITHIN_S:g} s; see `pointsman status`")
            if now - looked > _LOOK_AT_STATES_S:
                look()
                looked = now
            time.sleep(_LOOK_AGAIN_S)

    def _leave_savepoint(self) -> None:
        """Stop the router job with a savepoint, where it can: a checkpoint is of no use in another folder."""
        if any(state.name == "jobmanager" and state.pid for state in self._supervisor.states()):
            with suppress(PointsmanError):  # it goes on from its last checkpoint, then
                stop_router_job(self.addresses.flink_url, _SAVEPOINT_WITHIN_S)

    def _stop_programs(self) -> None:
        states = self._supervisor.states()
        first = [state.name for state in states if state.name not in LAST_TO_STOP]
        for names in (first, [state.name for state in states if state.name in LAST_TO_STOP]):
            self._supervisor.stop_all(names)
        self._supervisor.shutdown()

    def _tidy(self) -> None:
        end_processes_of(self._layout.data_dir)
        self._layout.stack_file.unlink(missing_ok=True)
        self._layout.socket.unlink(missing_ok=True)
        for folder in (self._layout.run, self._layout.flink / "tmp"):
            shutil.rmtree(folder, ignore_errors=True)
        remove_folder(self._layout.working_state)

    def _programs_named(self, name: str) -> list[str]:
        known = [state.name for state in self._supervisor.states()]
        found = [one for one in known if one == name] or [one for one in known if one.startswith(f"{name}-")]
        if not found:
            raise ConfigurationError(
                f"no program is called {name}", f"the names are {', '.join(known) or 'none: down'}"
            )
        return found


def _is_done(action: Callable[[], None]) -> bool:
    try:
        action()
    except TransientError:
        return False
    return True


def _answers(port: int | None) -> bool:
    return port is None or stack_ports.answers(port)
