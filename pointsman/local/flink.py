"""Flink: one JobManager, as many TaskManagers as its jobs need slots, and spare ones, run by `java` directly.

Flink's shell scripts are not used: they break on paths with spaces, and they need a whole Flink home.
"""

from __future__ import annotations

import json
import shutil
import sys
import sysconfig
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

from ruamel.yaml import YAML

from pointsman.deployment import ROUTER
from pointsman.local.addresses import Addresses, metrics_folder
from pointsman.local.component import fill
from pointsman.local.jars import pyflink_folder
from pointsman.local.java import LONG_LIVED_JVM, SMALL_JVM
from pointsman.local.layout import CONFIG, Layout
from pointsman.local.options import StackOptions
from pointsman.local.ports import HOST
from pointsman.local.programs import ENCRYPTION_SECRETS, MODEL_SECRETS, REGISTRY_SECRETS, Program
from pointsman.local.rest import get_json
from pointsman.local.security import Logins
from pointsman.local.working_state import make_folder
from pointsman.telemetry.endpoint import leave_target

_CONF: Final = "flink/conf"
_LIB: Final = "jars/flink-lib/*"
_WARM_PYTHON: Final = "jars/agents/warm-python.jar"
# As Flink's scripts would work them out from config/flink.yaml: heap = framework + task heap; direct memory =
# framework and task off-heap + network.
_JOBMANAGER_MEMORY: Final = ("-Xms128m", "-Xmx384m", "-XX:MaxMetaspaceSize=256m")
_TASKMANAGER_MEMORY: Final = ("-Xms128m", "-Xmx512m", "-XX:MaxDirectMemorySize=192m", "-XX:MaxMetaspaceSize=256m")


@cache
def java_options() -> tuple[str, ...]:
    """The module options that Flink's own configuration gives every JVM."""
    stock = YAML(typ="safe").load(pyflink_folder() / "conf" / "config.yaml")
    options: str = stock["env"]["java"]["opts"]["all"]
    return tuple(options.split())


class Flink:
    """A standalone cluster.

    Every TaskManager has one slot, because all slots of a process would share one Python interpreter.

    Args:
        layout: the data folder.
        java: path of `java`.
        ports: ports by name.
        options: what the caller chose.
        logins: the job's login in a secure stack; None where nobody asks for one.
    """

    def __init__(
        self, layout: Layout, java: Path, ports: Mapping[str, int], options: StackOptions, logins: Logins | None = None
    ) -> None:
        self._login = logins.java_options(ROUTER) if logins else ()
        self._layout = layout
        self._java = java
        self._rest_port = ports["flink"]
        self._rpc_port = ports["flink-rpc"]
        self._metrics_port = ports["flink-metrics"]
        self._taskmanager_metrics_port = ports["flink-metrics-taskmanager"]
        self._addresses = Addresses(data_dir=layout.data_dir, ports=ports, logins=logins)
        self._options = options

    @property
    def programs(self) -> tuple[Program, ...]:
        return (self._jobmanager(), *(self._taskmanager(name) for name in self._taskmanagers))

    @property
    def _taskmanagers(self) -> list[str]:
        number = self._options.task_managers + self._options.spare_taskmanagers
        return [f"taskmanager-{one + 1}" for one in range(number)]

    def prepare(self) -> None:
        """Write the configuration of the cluster and of its client, and empty what they work in."""
        temporary = self._layout.flink / "tmp"
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir(parents=True)
        working_state = make_folder(self._layout.working_state)
        values = {
            "rpc_port": self._rpc_port,
            "rest_port": self._rest_port,
            "checkpoint_interval_ms": self._options.checkpoint_interval_ms,
            # Flink quotes a path itself: percent signs in it would become part of the folder's name.
            "checkpoints": _yaml(f"file://{self._layout.checkpoints}"),
            "savepoints": _yaml(f"file://{self._layout.savepoints}"),
            "working_state": _yaml(str(working_state)),
            "python_mode": self._options.python_mode,
            "python": _yaml(sys.executable),
        }
        conf = self._layout.data_dir / _CONF
        fill([CONFIG / "flink.yaml"], conf / "config.yaml", values)
        for name in ("log4j.properties", "log4j-cli.properties"):
            shutil.copyfile(CONFIG / "flink-log4j.properties", conf / name)
        self.leave_metrics_targets()

    def leave_metrics_targets(self) -> None:
        """Say where each JobManager and TaskManager shows its metrics, and forget those that are no more."""
        folder = metrics_folder(self._layout.data_dir)
        for gone in folder.glob("taskmanager-*.json"):
            if gone.name.partition(".")[0] not in self._metrics_ports():
                gone.unlink(missing_ok=True)
        for program, port in self._metrics_ports().items():
            leave_target(folder / f"{program}.flink.json", f"{HOST}:{port}", program)

    def is_ready(self) -> bool:
        """Whether all slots that the jobs need are registered."""
        overview = get_json(self._rest_port, "/overview")
        return overview is not None and overview["slots-total"] >= self._options.task_managers

    def _jobmanager(self) -> Program:
        options = (*_JOBMANAGER_MEMORY, *SMALL_JVM, *self._login)
        main_class = "org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint"
        command = _java_command(self._java, "jobmanager", options, main_class)
        return Program(
            name="jobmanager",
            # Its parser reads on no further than to the first argument that it does not know.
            command=(*command, *self._reporter("jobmanager"), "--executionMode", "cluster"),
            environment=_environment(self._layout),
            ports=(self._rest_port, self._rpc_port),
        )

    def _metrics_ports(self) -> dict[str, int]:
        """Where Flink's own reporter listens: it takes a number and no wish for a free one."""
        ports = enumerate(self._taskmanagers, start=self._taskmanager_metrics_port)
        return {"jobmanager": self._metrics_port, **{name: port for port, name in ports}}

    def _reporter(self, program: str) -> tuple[str, str]:
        return ("-D", f"metrics.reporter.prometheus.port={self._metrics_ports()[program]}")

    def _taskmanager(self, name: str) -> Program:
        # How soon routing goes on after a kill is how much processor time a new JVM takes to get going, and the second
        # compiler alone takes a third of it. Under a load that lasts it pays: 1.4 times as much is routed.
        jvm = LONG_LIVED_JVM if self._options.long_lived else SMALL_JVM
        options = (*_TASKMANAGER_MEMORY, *jvm, *self._login, *self._warm_python())
        main_class = "org.apache.flink.runtime.taskexecutor.TaskManagerRunner"
        return Program(
            name=name,
            command=(
                *_java_command(self._java, name, options, main_class),
                *self._reporter(name),
                "-D",
                f"taskmanager.resource-id={name}",
            ),
            # Python runs inside the TaskManager (thread mode) and must find what the job imports.
            environment={
                **_environment(self._layout),
                "PYTHONPATH": sysconfig.get_path("purelib"),
                **self._addresses.metrics_environment(name),
                **self._addresses.store_environment(ROUTER),
            },
            tells=True,
            may_see=REGISTRY_SECRETS | ENCRYPTION_SECRETS | (MODEL_SECRETS if self._options.own_model else frozenset()),
        )

    def _warm_python(self) -> tuple[str, ...]:
        if self._options.python_mode != "thread":  # in a process of its own Python belongs to one operator
            return ()
        return f"-javaagent:{_WARM_PYTHON}", f"-Dpointsman.warm.python={sys.executable}"


def _java_command(java: Path, name: str, options: tuple[str, ...], main_class: str) -> tuple[str, ...]:
    logging = (f"-Dlog4j.configurationFile={_CONF}/log4j.properties", f"-Dlog.file=logs/{name}.log")
    return (str(java), *options, *java_options(), *logging, "-cp", _LIB, main_class, "--configDir", _CONF)


def _environment(layout: Layout) -> dict[str, str]:
    return {"TMPDIR": str(layout.flink / "tmp"), "FLINK_CONF_DIR": str(layout.data_dir / _CONF)}


def _yaml(text: str) -> str:
    return json.dumps(text)
