"""`pointsman keys`: the keys that values are encrypted with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from pointsman.cli.leads import with_store
from pointsman.cli.options import DryRun
from pointsman.settings import settings
from pointsman.shredding.process import data_keys, key_ring
from pointsman.shredding.wrapping import new_key

app = typer.Typer(no_args_is_help=True)


@app.command()
def new(
    name: Annotated[str | None, typer.Argument(help="The key's id; today's date when left out.")] = None,
) -> None:
    """Print a new key for POINTSMAN_ENCRYPTION_KEYS; it is kept nowhere."""
    typer.echo(new_key(name or f"{datetime.now(UTC):%Y-%m-%d}"))


@app.command()
def rewrap(*, dry_run: DryRun = False) -> None:
    """Wrap every data key with the first key of the settings, so that the others can be taken out of them."""
    told = settings()
    first = key_ring(told).first
    if dry_run:
        count = with_store(lambda store: data_keys(store, told).not_wrapped_with_first())
        typer.echo(f"would wrap {count} data keys with {first}")
        return
    count = with_store(lambda store: data_keys(store, told).rewrap())
    typer.echo(f"{count} data keys are wrapped with {first} now")
