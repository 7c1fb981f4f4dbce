"""What a caller may choose about the local stack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

PythonMode = Literal["thread", "process"]


@dataclass(frozen=True, kw_only=True)
class StackOptions:
    """Choices for one local stack.

    Attributes:
        data_dir: folder for state, logs and jars; made when missing.
        ports: chosen ports by name (see `pointsman.local.ports.DEFAULT_PORTS`); the others keep their default.
        free_ports: let the machine choose ports that are free; the data folder remembers them.
        parallelism: parallelism of the router's decisions, and number of TaskManagers.
        python_mode: where Flink runs Python: inside the TaskManager (`thread`) or beside it (`process`).
        checkpoint_interval_ms: milliseconds between checkpoints, and so the wait before output becomes visible.
        definitions_dir: YAML folder that is applied when the catalog is still empty; None applies nothing.
        agents: agents to run; None runs one process for every agent of the catalog.
        own_model: the environment names a model (key or base URL); otherwise the offline model is started.
        own_mail: the environment names an SMTP server; otherwise agents mail to the local sink, to everybody.
        model_latency_ms: milliseconds that the offline model waits before it answers.
        nurture_day_s: seconds that a campaign's day lasts; None leaves the setting alone.
        submit_job: submit the router job as the last step.
        always_ask_model: the router asks the model for every message that has a candidate.
    """

    data_dir: Path = Path(".pointsman")
    ports: Mapping[str, int] = field(default_factory=dict)
    free_ports: bool = False
    parallelism: int = 1
    python_mode: PythonMode = "thread"
    checkpoint_interval_ms: int = 200
    definitions_dir: Path | None = None
    agents: tuple[str, ...] | None = None
    own_model: bool = False
    own_mail: bool = False
    model_latency_ms: int = 0
    nurture_day_s: float | None = None
    submit_job: bool = True
    always_ask_model: bool = False
