"""`pointsman up | status | down | logs`: the local stack."""

from __future__ import annotations

import logging
import os
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer

from pointsman.cli.options import DeliveryOption, DryRun
from pointsman.cli.output import Output, OutputOption, print_data, print_rows
from pointsman.cli.steps import shown_steps
from pointsman.console.keys import local_keys, login_link
from pointsman.definitions.words import did_you_mean
from pointsman.errors import ConfigurationError
from pointsman.job_options import MOST_PARALLEL
from pointsman.local import LocalStack
from pointsman.local.choices import options_from_settings
from pointsman.local.intents import Intent
from pointsman.local.status import ProgramStatus

EXIT_DOWN: Final = 4
OFFLINE_NOTICE: Final = "the offline model answers: it is deterministic and no language model (set OPENAI_API_KEY)"
_MIB: Final = 1024 * 1024


class PythonModeChoice(StrEnum):
    """Where Flink runs Python."""

    THREAD = "thread"
    PROCESS = "process"


Port = Annotated[
    list[str] | None, typer.Option("--port", metavar="NAME=NUMBER", help="Another port, for example kafka=19092.")
]
FreePorts = Annotated[bool, typer.Option("--free-ports", help="Let the machine choose; the data folder remembers.")]
Parallelism = Annotated[
    int | None, typer.Option(min=1, max=MOST_PARALLEL, help="Parallel decisions, one TaskManager each.")
]
Spares = Annotated[
    int | None,
    typer.Option("--spare-taskmanagers", min=0, max=8, help="TaskManagers that stand by for one that dies."),
]
WithArchive = Annotated[
    bool | None, typer.Option("--archive/--no-archive", help="Also keep records as files; one TaskManager more.")
]
Mode = Annotated[PythonModeChoice | None, typer.Option(help="Python inside the TaskManager or beside it.")]
Secure = Annotated[
    bool,
    typer.Option("--secure", help="Kafka and MongoDB with TLS, one login per process, and no more rights than needed."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    for command in (up, status, down, logs):
        app.command()(command)


def up(
    port: Port = None,
    free_ports: FreePorts = False,
    parallelism: Parallelism = None,
    spares: Spares = None,
    python_mode: Mode = None,
    delivery: DeliveryOption = None,
    archive: WithArchive = None,
    secure: Secure = False,
    output: OutputOption = Output.TABLE,
    *,
    dry_run: DryRun = False,
) -> None:
    """Start the local stack, or what is missing of it, and leave it running."""
    options = options_from_settings()
    options = replace(
        options,
        ports={**options.ports, **_ports(port or [])},
        free_ports=free_ports or options.free_ports,
        parallelism=parallelism or options.parallelism,
        spare_taskmanagers=options.spare_taskmanagers if spares is None else spares,
        python_mode=python_mode.value if python_mode else options.python_mode,
        delivery=delivery.value if delivery else options.delivery,
        archive=options.archive if archive is None else archive,
        secure=secure or options.secure,
    )
    # While the broker starts, Kafka's client complains of what passes by itself.
    logging.getLogger("pointsman.kafka").setLevel(logging.ERROR)
    stack = LocalStack(options)
    if dry_run:
        _print_intents(stack.would_start(), output)
        return
    began = time.monotonic()
    with shown_steps() as progress:
        stack.up(progress)
    _tell(stack, time.monotonic() - began)


def status(output: OutputOption = Output.TABLE) -> None:
    """Every process: state, pid, port, memory, uptime, restarts; exit 4 when one does not run."""
    stack = LocalStack(options_from_settings())
    rows = stack.status()
    if output is not Output.TABLE:
        print_data([asdict(row) for row in rows], output)
    elif rows:
        _print_table(rows)
    else:
        typer.echo(_why_nothing_is_listed(stack), err=True)
    if not rows or any(not row.pid for row in rows):
        raise typer.Exit(EXIT_DOWN)


def down(output: OutputOption = Output.TABLE, *, dry_run: DryRun = False) -> None:
    """Stop everything; state stays in the data folder."""
    if dry_run:
        _print_intents(LocalStack(options_from_settings()).would_stop(), output)
        return
    with shown_steps() as progress:
        LocalStack(options_from_settings()).down(progress)


def logs(
    name: Annotated[str, typer.Argument(help="A program as `pointsman status` names it.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as the log grows.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="Lines from the end.")] = 50,
) -> None:
    """Show a program's log."""
    files = log_files(options_from_settings().data_dir / "logs", name)
    # `tail` follows a file across rotation on every system that runs the stack.
    os.execvp("tail", ["tail", *(["-F"] if follow else []), "-n", str(lines), "--", *map(str, files)])  # noqa: S606, S607


def log_files(folder: Path, name: str) -> list[Path]:
    """The log of the program called `name`, or those of all programs that start with it.

    Raises:
        ConfigurationError: there is none; the text names those that exist.
    """
    known = {file.stem: file for file in sorted(folder.glob("*.log"))}
    found = [file for stem, file in known.items() if stem == name]
    found = found or [file for stem, file in known.items() if stem.startswith(f"{name}-") or stem == f"agent-{name}"]
    if not found:
        hint = did_you_mean(name, known) or f": there are {', '.join(known) or 'no logs yet'}"
        raise ConfigurationError(f"no log is called {name[:80]}{hint}")
    return found


def _why_nothing_is_listed(stack: LocalStack) -> str:
    left = len(stack.processes())
    if left:
        return f"{left} processes run without their supervisor; `pointsman up` or `pointsman down` clears them away"
    return f"the stack in {stack.options.data_dir} is down; `pointsman up` starts it"


def _ports(chosen: list[str]) -> dict[str, int]:
    ports = {}
    for text in chosen:
        name, _, number = text.partition("=")
        if not number.isdecimal():
            raise ConfigurationError(f"--port {text[:80]} is not NAME=NUMBER", "for example --port kafka=19092")
        ports[name] = int(number)
    return ports


def _tell(stack: LocalStack, seconds: float) -> None:
    """Say where everything is."""
    addresses, options = stack.addresses, stack.options
    typer.echo(f"Pointsman is up ({seconds:.1f} s).")
    link = login_link(addresses.console_url, local_keys(addresses.data_dir), datetime.now(UTC))
    typer.echo(f"  console {link} (good for an hour; `pointsman console link` prints another)")
    typer.echo(f"  form    {addresses.console_url}/form")
    typer.echo(f"  Flink   {addresses.flink_url}")
    typer.echo(f"  Kafka   {addresses.kafka_bootstrap}")
    typer.echo(f"  MongoDB {addresses.mongodb_uri}")
    if addresses.logins:
        typer.echo(f"  logins  {addresses.logins.ca.parent} (a folder each; POINTSMAN_LOGIN_DIR names one)")
    typer.echo(f"  logs    {options.data_dir / 'logs'} (`pointsman logs NAME`)")
    if options.archive:
        typer.echo(f"  archive {options.data_dir / 'archive'}")
    if not options.own_mail:
        typer.echo(f"  mails   {options.data_dir / 'mailbox'}")
    if not options.own_model:
        typer.echo(f"  model   {OFFLINE_NOTICE}")
    missing = [row.name for row in stack.status() if row.state != "RUNNING"]
    if missing:
        typer.echo(f"not running yet: {', '.join(missing)}; see `pointsman status` and `pointsman logs NAME`", err=True)


def _print_intents(intents: list[Intent], output: Output) -> None:
    print_rows([asdict(intent) for intent in intents], ("name", "action", "port"), output, right=("port",))


def _print_table(rows: list[ProgramStatus]) -> None:
    numbers = ("pid", "port", "metrics", "MiB", "up for", "restarts")
    told = [
        {
            "name": row.name, "state": row.state.lower(), "pid": row.pid or "", "port": row.port or "",
            "metrics": " ".join(map(str, row.metrics)),
            "MiB": row.rss_bytes // _MIB, "up for": _duration(row.uptime_s), "restarts": row.restarts,
        }
        for row in rows
    ]  # fmt: skip
    print_rows(told, ("name", "state", *numbers), Output.TABLE, right=numbers)
    typer.echo(f"{sum(row.rss_bytes for row in rows) // _MIB} MiB in all")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
