"""What `up` does between its parts, without the parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from pointsman.catalog import Catalog
from pointsman.catalog_history import Author
from pointsman.definitions import AgentDefinition
from pointsman.kafka import KafkaLogin
from pointsman.local import LocalStack, StackOptions
from pointsman.local.supervision import ProgramState, Supervisor
from pointsman.publish import Move

FOLDER = Path(__file__).parents[2] / "agent_definitions"


def test_agents_are_looked_up_only_when_readers_see_what_was_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    applied: list[Catalog] = []
    hidden_from = [3]

    def apply(_: object, definitions: Sequence[AgentDefinition], author: Author) -> Move:
        applied.append(Catalog.of(definitions, 1))
        return Move(before=Catalog(), after=applied[0])

    def load_catalog(_: str, login: KafkaLogin | None = None) -> Catalog:
        """Empty for some more looks after the commit, as on a broker that has not written the commit's marker yet."""
        if applied:
            hidden_from[0] -= 1
        return applied[0] if hidden_from[0] < 0 else Catalog()

    monkeypatch.setattr("pointsman.local.stack.apply", apply)
    monkeypatch.setattr("pointsman.local.stack.load_catalog", load_catalog)
    stack = LocalStack(StackOptions(data_dir=tmp_path, free_ports=True, definitions_dir=FOLDER))
    stack._apply_definitions()
    assert load_catalog("").definitions


def a_stack(folder: Path, *, parallelism: int) -> LocalStack:
    options = StackOptions(data_dir=folder, free_ports=True, definitions_dir=FOLDER, parallelism=parallelism)
    return LocalStack(options)


def running(*names: str) -> list[ProgramState]:
    return [ProgramState(name=name, state="RUNNING", pid=7, started_at=0.0, problem="") for name in names]


def actions(stack: LocalStack, action: str) -> list[str]:
    return [intent.name for intent in stack.would_start() if intent.action == action]


def test_a_dry_start_names_every_program_and_writes_nothing(tmp_path: Path) -> None:
    started = actions(a_stack(tmp_path, parallelism=2), "start")
    assert {"kafka", "mongod", "jobmanager", "taskmanager-2", "agent-send_email"} <= set(started)
    assert list(tmp_path.iterdir()) == []


def test_a_dry_start_of_a_running_stack_says_what_another_parallelism_would_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    up = running("kafka", "jobmanager", "taskmanager-1", "taskmanager-2", "agent-of_the_catalog")
    monkeypatch.setattr(Supervisor, "states", lambda self: up)
    stack = a_stack(tmp_path, parallelism=1)
    (tmp_path / "run").mkdir()
    a_stack(tmp_path, parallelism=2).options.save(tmp_path / "run" / "options.json")

    assert actions(stack, "stop") == ["taskmanager-2"]
    assert actions(stack, "rescale") == ["router job"]
    assert "agent-of_the_catalog" in actions(stack, "leave")
    assert "agent-send_email" not in actions(stack, "start")


def test_a_dry_stop_names_what_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = [*running("kafka"), ProgramState(name="connect", state="FATAL", pid=0, started_at=0.0, problem="")]
    monkeypatch.setattr(Supervisor, "states", lambda self: gone)
    assert [intent.name for intent in a_stack(tmp_path, parallelism=1).would_stop()] == ["kafka"]
