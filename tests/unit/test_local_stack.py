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
