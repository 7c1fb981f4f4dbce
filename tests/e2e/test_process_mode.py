"""Python beside the TaskManager instead of inside it: the same loop, the same result."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

import pytest

from pointsman.local import LocalStack, StackOptions
from tests.e2e.system import ROOT, System, address, hot_lead
from tests.witness import eventually


def metrics_of_router(data_dir: Path) -> str:
    """What the Python beside the TaskManager shows, at the address that it left."""
    (group,) = json.loads((data_dir / "run" / "metrics" / "taskmanager-1.json").read_text())
    with urllib.request.urlopen(f"http://{group['targets'][0]}/metrics", timeout=10) as answer:
        return str(answer.read().decode())


@pytest.mark.long
def test_the_loop_runs_with_python_in_processes_of_its_own(tmp_path: Path) -> None:
    options = StackOptions(
        data_dir=tmp_path / "data", jars_dir=ROOT / ".pointsman" / "jars", free_ports=True, python_mode="process",
        definitions_dir=ROOT / "agent_definitions",
    )  # fmt: skip
    stack = LocalStack(options)
    system = System(stack=stack, data_dir=options.data_dir, early_address=address())
    try:
        stack.up()
        workflow, recipient = system.insert(hot_lead())
        eventually(lambda: system.mails_to(recipient), within_s=60, what="a mail to the lead")
        eventually(lambda: system.outcomes(workflow)[-1:] == ["completed"], what="the workflow's completion")
        assert 'outcome="completed"' in metrics_of_router(options.data_dir)
        assert any("pyflink-udf-runner" in " ".join(each.cmdline()) for each in stack.processes())
    finally:
        system.close()
        stack.down()
    assert stack.processes() == []
