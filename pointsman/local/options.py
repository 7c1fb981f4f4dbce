"""What a caller may choose about the local stack."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

PythonMode = Literal["thread", "process"]
Delivery = Literal["exactly-once", "fast"]

_HELD_BY_THE_STACK: Final = (
    "ports",
    "free_ports",
    "parallelism",
    "spare_taskmanagers",
    "python_mode",
    "checkpoint_interval_ms",
    "delivery",
    "own_model",
    "own_mail",
    "model_latency_ms",
    "nurture_day_s",
    "always_ask_model",
    "archive",
    "secure",
)
_MAY_CHANGE: Final = frozenset({"parallelism"})
"""Choices that `up` may change of a running stack."""
_OWN: Final = {"own_model": "the model of the environment", "own_mail": "the mail server of the environment"}
_OURS: Final = {"own_model": "the offline model", "own_mail": "the local mailbox"}


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """Choices for one local stack.

    Attributes:
        data_dir: folder for state, logs and jars; made when missing.
        jars_dir: folder of the jars when several data folders share them; None keeps them in the data folder.
        java_home: JDK to use; None takes the `java` on the PATH.
        ports: chosen ports by name (see `pointsman.local.ports.DEFAULT_PORTS`); the others keep their default.
        free_ports: let the machine choose ports that are free; the data folder remembers them.
        parallelism: parallelism of the router's decisions, and number of TaskManagers that it needs.
        spare_taskmanagers: TaskManagers beyond those: when one dies, its work goes on in a process that runs already.
        python_mode: where Flink runs Python: inside the TaskManager (`thread`) or beside it (`process`).
        checkpoint_interval_ms: milliseconds between checkpoints, and so the wait before output becomes visible.
        delivery: what the router job promises of its output (see `pointsman.job_options`).
        definitions_dir: YAML folder that is applied when the catalog is still empty; None applies nothing.
        limits_file: how far workflows may go; None: the built-in limits.
        agents: agents to run; None runs one process for every agent of the catalog.
        own_model: the environment names a model (key or base URL); otherwise the offline model is started.
        own_mail: the environment names an SMTP server; otherwise agents mail to the local sink, to everybody.
        model_latency_ms: milliseconds that the offline model waits before it answers.
        nurture_day_s: seconds that a campaign's day lasts; None leaves the setting alone.
        submit_job: submit the router job as the last step.
        always_ask_model: the router asks the model for every message that has a candidate.
        archive: also keep records as files; takes one TaskManager more.
        secure: everybody logs in and everything is encrypted: Kafka and MongoDB with TLS, passwords and rights.
        long_lived: TaskManagers compile what runs often as well as they can, as on a cluster: slower to start, and
            faster once they have worked for some time.
    """

    data_dir: Path = Path(".pointsman")
    jars_dir: Path | None = None
    java_home: Path | None = None
    ports: Mapping[str, int] = field(default_factory=dict)
    free_ports: bool = False
    parallelism: int = 1
    spare_taskmanagers: int = 0
    python_mode: PythonMode = "thread"
    checkpoint_interval_ms: int = 200
    delivery: Delivery = "exactly-once"
    definitions_dir: Path | None = None
    limits_file: Path | None = None
    agents: tuple[str, ...] | None = None
    own_model: bool = False
    own_mail: bool = False
    model_latency_ms: int = 0
    nurture_day_s: float | None = None
    submit_job: bool = True
    always_ask_model: bool = False
    archive: bool = False
    secure: bool = False
    long_lived: bool = False

    @property
    def task_managers(self) -> int:
        """How many there are: one slot for each decision at a time, and one for the archive job."""
        return self.parallelism + self.archive

    def held(self) -> dict[str, Any]:
        """The choices that hold from the stack's start to its stop."""
        chosen = asdict(replace(self, ports=dict(self.ports)))
        return {name: chosen[name] for name in _HELD_BY_THE_STACK}

    def save(self, file: Path) -> None:
        """Write the choices that hold until the stack stops."""
        file.write_text(json.dumps(self.held(), indent=2) + "\n", encoding="utf-8")

    def as_running(self, file: Path) -> StackOptions:
        """These options with the choices that `save` wrote to `file`; unchanged when there is no such file."""
        try:
            held = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return self
        return replace(self, **{name: value for name, value in held.items() if name in _HELD_BY_THE_STACK})

    def differences(self, running: StackOptions) -> list[str]:
        """In words, the choices that keep these options from taking over a running stack."""
        mine, theirs = self.held(), running.held()
        differing = [name for name in mine if mine[name] != theirs[name] and name not in _MAY_CHANGE]
        return [f"{_in_words(name, theirs[name])}, not {_in_words(name, mine[name])}" for name in differing]


def _in_words(name: str, value: Any) -> str:
    if name == "secure":
        return "logins and TLS" if value else "neither logins nor TLS"
    if name in _OWN:
        return _OWN[name] if value else _OURS[name]
    return f"{name.replace('_', ' ')} {value}"
