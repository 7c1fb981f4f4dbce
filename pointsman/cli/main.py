"""The command line: turns Pointsman's errors into one line and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 configuration invalid, 4 a dependency is down.
"""

from __future__ import annotations

import sys
from typing import Final

import typer

from pointsman.cli.commands import Commands
from pointsman.errors import ConfigurationError, PointsmanError, TransientError
from pointsman.logging import configure_logging
from pointsman.settings import wants_no_colour

EXIT_FAILED: Final = 1
EXIT_CONFIGURATION: Final = 3
EXIT_DEPENDENCY: Final = 4

app = typer.Typer(
    name="pointsman",
    cls=Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def begin(context: typer.Context) -> None:
    """Agents that talk through Kafka, and a Flink job that decides who gets each message next."""
    if wants_no_colour():
        context.color = False
    # Data goes to stdout and everything else to stderr; what a command retries is no news to whoever called it.
    configure_logging("error")


def main() -> None:
    """Run the command; errors become one line on stderr."""
    try:
        app()
    except ConfigurationError as error:
        _fail(error, EXIT_CONFIGURATION)
    except TransientError as error:
        _fail(error, EXIT_DEPENDENCY)
    except PointsmanError as error:
        _fail(error, EXIT_FAILED)


def _fail(error: PointsmanError, code: int) -> None:
    typer.echo(f"pointsman: {error}", err=True)
    sys.exit(code)
