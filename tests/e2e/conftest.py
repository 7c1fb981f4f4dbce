"""One stack for all end-to-end tests of a session, on ports that the machine chose."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from pointsman.local import LocalStack, StackOptions
from tests.e2e.system import ROOT, SECRET, System, address, hot_lead
from tests.otlp import Receiver

TIGHT_LIMITS = """
["ball.tossed"]
model_calls = 5

["ball.scattered"]
fan_out = 3
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have tests with a stack of their own done before the shared one starts: at rest it takes a fifth of two cores."""
    items.sort(key=lambda item: "system" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def traces() -> Iterator[Receiver]:
    """Where every process of the stack sends its spans; what else its environment holds is set here, too."""
    with Receiver().running() as receiver, pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.endpoint)
        patch.setenv("OTEL_BSP_SCHEDULE_DELAY", "200")
        patch.setenv("POINTSMAN_MAIL_UNSUBSCRIBE_SECRET", SECRET)
        yield receiver


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory, traces: Receiver) -> Iterator[System]:
    """The whole stack, with a lead in MongoDB from before it started."""
    data_dir = tmp_path_factory.mktemp("stack with a space")
    limits = data_dir / "workflow_limits.toml"
    limits.write_text((ROOT / "workflow_limits.toml").read_text() + TIGHT_LIMITS)
    jars = ROOT / ".pointsman" / "jars"
    options = StackOptions(
        data_dir=data_dir, free_ports=True, definitions_dir=ROOT / "agent_definitions", nurture_day_s=0.4,
        model_latency_ms=100, jars_dir=jars, limits_file=limits,
    )  # fmt: skip
    stack = LocalStack(options)
    running = System(stack=stack, data_dir=data_dir, early_address=address())
    try:
        stack.up()
        running.insert({**hot_lead(), "email": running.early_address})
        stack.up()
        yield running
    finally:
        running.close()
        stack.down()
        assert stack.processes() == []
        shutil.rmtree(data_dir, ignore_errors=True)
