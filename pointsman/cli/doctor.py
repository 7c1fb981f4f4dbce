"""`pointsman doctor`: look at every dependency and setting, and say each fix."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Final

import typer

from pointsman.cli.output import Output, OutputOption, print_rows, working
from pointsman.doctor import Verdict, worst
from pointsman.doctor.probing import examine
from pointsman.job_options import JobOptions
from pointsman.settings import settings

_EXIT: Final = {Verdict.OK: 0, Verdict.WARNING: 0, Verdict.WRONG: 1, Verdict.DOWN: 4}


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(doctor)


def doctor(
    name: Annotated[str, typer.Option(help="The router job's name.")] = JobOptions(kafka_bootstrap="").name,
    output: OutputOption = Output.TABLE,
) -> None:
    """Look at Kafka, registry, Connect, MongoDB, Flink, model and mail, say each fix; exit 1 if wrong, 4 if down."""
    with working("looking at every part"):
        findings = examine(settings(), name)
    rows = [asdict(finding) | {"verdict": finding.verdict.value} for finding in findings]
    print_rows(rows, ("verdict", "area", "subject", "detail"), output)
    if output is Output.TABLE:
        for finding in findings:
            if finding.fix:
                typer.echo(f"fix {finding.area} {finding.subject}: {finding.fix}")
    raise typer.Exit(_EXIT[worst(findings)])
