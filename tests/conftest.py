"""Marks tests by folder, and keeps every test away from a real model."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import structlog
import typer.testing
from hypothesis import settings

# How long an example takes says how busy the machine is. Half of the usual examples keep the fast tests fast.
settings.register_profile("any machine", deadline=None, max_examples=50, stateful_step_count=30)
settings.load_profile("any machine")

# A test's command line need not be built from all commands anew: that takes longer than most commands.
typer.testing._get_command = cache(typer.testing._get_command)  # type: ignore[attr-defined]

# So does a traceback in colours with the values of all variables, which is what a logger shows that nobody has set up.
structlog.configure(processors=[structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)])

STACK_ENVIRONMENT = (
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_BSP_SCHEDULE_DELAY",
    "POINTSMAN_MAIL_UNSUBSCRIBE_SECRET",
)
"""What `e2e/conftest.py` sets for the session."""
FOLDER_MARKS = {"integration": pytest.mark.stack, "e2e": pytest.mark.stack}


def pytest_addoption(parser: pytest.Parser) -> None:
    """How much the tests in `chaos` do."""
    parser.addoption("--tier", default="quick", choices=["critical", "quick", "nightly"], help="size of a chaos run")
    parser.addoption("--minutes", default="30", help="length of the soak")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests in these folders need the stack, and more time."""
    for item in items:
        folder = Path(item.path).relative_to(Path(__file__).parent).parts[0]
        if folder in FOLDER_MARKS:
            item.add_marker(FOLDER_MARKS[folder])
            item.add_marker(pytest.mark.timeout(300))


@pytest.fixture(autouse=True)
def _nothing_of_the_stacks_environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the session's stack was told holds for tests of that stack only."""
    if request.node.get_closest_marker("stack") is None:
        for name in STACK_ENVIRONMENT:
            monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True, scope="session")
def _no_real_model() -> Iterator[None]:
    """No key of the environment reaches a test: the model is always the offline one."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
            patch.delenv(name, raising=False)
        yield
