"""Several instances of one agent show their metrics side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.__main__ import own_metrics
from pointsman.settings import Settings


@pytest.mark.parametrize(("instance", "port"), [("1", 9464), ("3", 9466)])
def test_instances_take_ports_that_follow_each_other_and_a_file_each(instance: str, port: int) -> None:
    known = Settings(metrics_port=9464, metrics_file=Path("run/agent-x.json"), instance=instance)
    assert own_metrics(known) == {"metrics_port": port, "metrics_file": Path(f"run/agent-x.{instance}.json")}


@pytest.mark.parametrize("port", [None, 0])
def test_no_port_and_a_free_port_stay_what_they_are(port: int | None) -> None:
    assert own_metrics(Settings(metrics_port=port, instance="2")) == {"metrics_port": port, "metrics_file": None}
