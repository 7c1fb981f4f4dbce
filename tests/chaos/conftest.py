"""One stack for all faults of a session, between partners that the tests command."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from pointsman.local import LocalStack, StackOptions
from tests.chaos.lab import Lab, is_counted
from tests.chaos.partners import Partners
from tests.chaos.report import results_file
from tests.chaos.tail import Tail
from tests.chaos.tiers import TIERS, Tier
from tests.e2e.system import ROOT, System, address


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Faults take their time, and so does getting over them."""
    for item in items:
        if Path(item.path).parent == Path(__file__).parent:
            item.add_marker(pytest.mark.stack)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(1800))
            # kafka-python drops sockets to a broker that is away without closing them.
            item.add_marker(pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"))


@pytest.fixture(scope="session")
def seed() -> int:
    """Decides all chance of a run; POINTSMAN_CHAOS_SEED repeats one."""
    return int(os.environ.get("POINTSMAN_CHAOS_SEED") or random.SystemRandom().randrange(1_000_000))


@pytest.fixture(scope="session")
def tier(request: pytest.FixtureRequest) -> Tier:
    """How much of everything this run does."""
    return TIERS[request.config.getoption("--tier")]


@pytest.fixture(scope="session")
def partners() -> Iterator[Partners]:
    running = Partners()
    yield running
    running.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory, partners: Partners, seed: int, tier: Tier) -> Iterator[Lab]:
    """The whole stack; it finds mail server and model as it would find a user's own."""
    data_dir = tmp_path_factory.mktemp("chaos with a space")
    options = StackOptions(
        data_dir=data_dir, free_ports=True, definitions_dir=ROOT / "agent_definitions", nurture_day_s=0.2,
        own_model=True, own_mail=True, spare_taskmanagers=1, jars_dir=ROOT / ".pointsman" / "jars",
    )  # fmt: skip
    stack = LocalStack(options)
    system = System(stack=stack, data_dir=data_dir, early_address=address())
    tail: Tail | None = None
    with pytest.MonkeyPatch.context() as patch:
        for name, value in partners.environment().items():
            patch.setenv(name, value)
        try:
            stack.up()
            tail = Tail(system.settings["kafka_bootstrap"], is_counted)
            lab = Lab(system=system, partners=partners, tail=tail, seed=seed, tier=tier)
            yield lab
            _keep(lab)
        finally:
            if tail:
                tail.close()
            system.close()
            stack.down()
            assert stack.processes() == []
            shutil.rmtree(data_dir, ignore_errors=True)


def _keep(lab: Lab) -> None:
    """Leave the results for `report.py`, by tier; a run of some tests replaces only their rows."""
    file = results_file(lab.tier.name)
    before = json.loads(file.read_text()) if file.is_file() else {}
    rows = {**before, **{result.fault: asdict(result) for result in lab.results if result.fault != "soak"}}
    file.write_text(json.dumps(rows, indent=2) + "\n")
