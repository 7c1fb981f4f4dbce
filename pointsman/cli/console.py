"""`pointsman console`: who may log in to it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from pointsman.cli.options import DryRun
from pointsman.console.hashing import hashed, new_key
from pointsman.console.keys import local_keys, login_link
from pointsman.console_account import ConsoleAccount
from pointsman.errors import ConfigurationError
from pointsman.local import LocalStack
from pointsman.local.choices import options_from_settings
from pointsman.local.security.files import write_secret

app = typer.Typer(no_args_is_help=True)
account = typer.Typer(no_args_is_help=True)
app.add_typer(account, name="account", help="Accounts that log in with a key.")

_ACCOUNTS = TypeAdapter(list[ConsoleAccount])


class RoleChoice(StrEnum):
    """What an account may do."""

    VIEWER = "viewer"
    OPERATOR = "operator"


@account.command()
def add(
    name: Annotated[str, typer.Argument(help="What stands on everything that they do; no mail address.")],
    role: Annotated[RoleChoice, typer.Option(help="A viewer sees, an operator also decides and changes.")],
    file: Annotated[Path | None, typer.Option(help="Add it to the accounts in this file; else to stdout.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="An account of that name gets a new key.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Make an account with a random key; the key is shown once, on stderr, and only its hash is kept.

    What is printed or in the file is the value of POINTSMAN_CONSOLE_ACCOUNTS.
    """
    key = new_key()
    made = _account(name, role.value, key)
    others = _others(file, name, replace=replace) if file else []
    text = json.dumps([one.model_dump() for one in (*others, made)], indent=2) + "\n"
    if dry_run:
        typer.echo(f"{name} would become an account ({role.value}){f' in {file}' if file else ''}")
        return
    if file:
        write_secret(file, text.encode())
    else:
        typer.echo(text, nl=False)
    typer.echo(f"access key of {name}, shown this once: {key}", err=True)


@app.command()
def link() -> None:
    """Print a link that logs the owner of the local stack in; it is good for an hour."""
    stack = LocalStack(options_from_settings())
    keys = local_keys(stack.options.data_dir)
    if not keys.has_link:
        raise ConfigurationError(f"there is no local stack in {stack.options.data_dir}", "start it: `pointsman up`")
    typer.echo(login_link(stack.addresses.console_url, keys, datetime.now(UTC)))


def _account(name: str, role: str, key: str) -> ConsoleAccount:
    try:
        return ConsoleAccount.model_validate({"name": name, "role": role, "key_hash": hashed(key)})
    except ValidationError:
        raise ConfigurationError(
            "the name does not fit", "use up to 60 letters of A to Z, digits, spaces and . _ - (no address)"
        ) from None


def _others(file: Path, name: str, *, replace: bool) -> list[ConsoleAccount]:
    """The accounts in `file` but `name`; none when there is no such file."""
    try:
        known = _ACCOUNTS.validate_json(file.read_bytes())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}", "choose another --file") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]["msg"]
        raise ConfigurationError(f"{file} holds no list of accounts: {first}", "choose another --file") from None
    if not replace and any(one.name == name for one in known):
        raise ConfigurationError(f"{file} has an account {name}", "give it a new key by --replace")
    return [one for one in known if one.name != name]
