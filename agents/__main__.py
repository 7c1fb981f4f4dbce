"""`python -m agents NAME`: runs one agent; without a module of that name, the declarative one."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from typing import Annotated, Final

import typer

from pointsman.errors import ConfigurationError, PointsmanError, TransientError
from pointsman.logging import configure_logging
from pointsman.runtime.children import EXIT_CONFIGURATION, exit_with_parent, run_children
from pointsman.runtime.process import Build, run_agent
from pointsman.settings import Settings, settings
from pointsman.topics import AGENT_NAME_PATTERN, VERSION_PATTERN

_EXIT_FAILED: Final = 1
_EXIT_DEPENDENCY: Final = 4
_INSTANCE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def run(
    name: Annotated[str, typer.Argument(help="Name of the agent in the catalog.")],
    instance: Annotated[str | None, typer.Option(help="Name of this process among those of the agent.")] = None,
    version: Annotated[
        str | None, typer.Option(help="Run that version beside the one in force, on an inbox of its own (rollouts).")
    ] = None,
    instances: Annotated[int, typer.Option(min=1, max=64, help="Run that many processes, named 1, 2, ...")] = 1,
    parent: Annotated[int | None, typer.Option(hidden=True)] = None,
) -> None:
    """Run one agent until SIGTERM or Ctrl-C."""
    try:
        sys.exit(_run(name, instance, instances, parent, version))
    except PointsmanError as error:
        typer.echo(f"agents {name}: {error}", err=True)
        sys.exit(_exit_code(error))


def _run(name: str, instance: str | None, instances: int, parent: int | None, version: str | None) -> int:
    configure_logging(settings().log_level)
    _check_names(name, instance, version)
    beside = ("--version", version) if version else ()
    if instances > 1:
        if instance is not None:
            raise ConfigurationError("--instance and --instances exclude each other", "give one of the two")
        command = [sys.executable, "-m", "agents", name, *beside, "--parent", str(os.getpid()), "--instance"]
        return run_children([[*command, str(number)] for number in range(1, instances + 1)])
    known = settings().model_copy(update={"instance": instance or settings().instance})
    if parent is not None:
        exit_with_parent(parent)
        known = known.model_copy(update=own_metrics(known))
    if version:
        # Locks, transactions and group members are called after the instance: not like those of the version in force.
        known = known.model_copy(update={"instance": f"v{version.replace('+', '_')}.{known.instance}"})
    run_agent(name, known, find_build(name), version)
    return 0


def own_metrics(known: Settings) -> dict[str, object]:
    """Where the metrics of one of several instances are: the ports follow each other, from the one that is set."""
    port, file = known.metrics_port, known.metrics_file
    return {
        "metrics_port": port + int(known.instance) - 1 if port else port,
        "metrics_file": file and file.with_suffix(f".{known.instance}{file.suffix}"),
    }


def find_build(name: str) -> Build | None:
    """`build` of the module `agents.<name>`, or None when there is no such module.

    Raises:
        ConfigurationError: the module is there and cannot be imported.
    """
    if importlib.util.find_spec(f"agents.{name}") is None:
        return None
    try:
        module = importlib.import_module(f"agents.{name}")
    except ImportError as error:
        what = f"module agents.{name} cannot be imported: {error}"
        raise ConfigurationError(what, "install what it needs, or mend the module") from error
    build: Build | None = getattr(module, "build", None)
    return build


def _check_names(name: str, instance: str | None, version: str | None) -> None:
    if not re.fullmatch(AGENT_NAME_PATTERN, name):
        raise ConfigurationError("that is no agent name", "names are lower case letters, digits and underscores")
    if instance is not None and not _INSTANCE.fullmatch(instance):
        raise ConfigurationError("that is no instance name", "use letters, digits, dot, dash and underscore")
    if version is not None and not re.fullmatch(VERSION_PATTERN, version):
        raise ConfigurationError("that is no version", "write it as the definition does: 1.2.0")


def _exit_code(error: PointsmanError) -> int:
    if isinstance(error, ConfigurationError):
        return EXIT_CONFIGURATION
    return _EXIT_DEPENDENCY if isinstance(error, TransientError) else _EXIT_FAILED


if __name__ == "__main__":
    typer.run(run)
