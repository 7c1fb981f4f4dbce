"""`pointsman topics`: make every topic that Pointsman itself needs. Inboxes are made by `pointsman agents apply`."""

from __future__ import annotations

from collections.abc import Iterable, Set
from typing import Annotated

import typer

from pointsman.cli.output import Output, OutputOption, print_rows
from pointsman.kafka import KafkaAdmin
from pointsman.settings import settings
from pointsman.topics import ALL, Topic

app = typer.Typer(no_args_is_help=True)


@app.callback()
def _noun() -> None:
    """Topics on Kafka."""


@app.command()
def apply(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say which are missing.")] = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Make the topics that are missing; what exists stays as it is."""
    admin = KafkaAdmin(settings().kafka_bootstrap)
    existing = admin.topics()
    if not dry_run:
        admin.ensure_topics(ALL)
    print_rows(rows(ALL, existing, dry_run=dry_run), ("name", "state"), output)


def rows(wanted: Iterable[Topic], existing: Set[str], *, dry_run: bool) -> list[dict[str, str]]:
    """What became of each topic."""
    missing = "would be made" if dry_run else "made"
    return [{"name": topic.name, "state": "is there" if topic.name in existing else missing} for topic in wanted]
