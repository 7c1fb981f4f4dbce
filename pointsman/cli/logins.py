"""`pointsman logins`: makes the principals of a deployment users of Kafka and MongoDB, each with its rights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from pymongo import MongoClient
from pymongo.errors import PyMongoError

from pointsman.cli.options import DryRun
from pointsman.cli.output import Output, OutputOption, print_rows
from pointsman.deployment import Acl, agent_users, kafka_users
from pointsman.errors import ConfigurationError, StoreUnavailableError
from pointsman.flink_login import PASSWORD_FILE
from pointsman.kafka.users import KafkaUsers
from pointsman.local.security.database_users import ensure_users, role_of
from pointsman.settings import settings

app = typer.Typer(no_args_is_help=True)

_DATABASE_PASSWORD = "mongodb_password"  # noqa: S105  # a file's name
_AGENT = "agent-"


@app.callback()
def _noun() -> None:
    """Logins of processes."""


@app.command()
def apply(
    folder: Annotated[Path, typer.Argument(help="Has a folder for each principal.", exists=True, file_okay=False)],
    kafka: Annotated[bool, typer.Option(help="Make them users of Kafka.")] = True,
    mongodb: Annotated[bool, typer.Option(help="Make them users of MongoDB.")] = True,
    *,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Give every principal its password and exactly its rights; as whom the settings log in, an administrator."""
    rights = principals(folder)
    if not dry_run:
        told = settings()
        if kafka:
            KafkaUsers(told.kafka_bootstrap).ensure(rights, passwords(folder, rights, PASSWORD_FILE))
        if mongodb:
            known = {name: acls for name, acls in rights.items() if role_of(name)}
            _to_mongodb(told.mongodb_uri.get_secret_value(), passwords(folder, known, _DATABASE_PASSWORD))
    print_rows(rows(rights, kafka=kafka, mongodb=mongodb), ("principal", "kafka", "mongodb"), output)


def principals(folder: Path) -> dict[str, list[Acl]]:
    """Who has a folder below `folder`, and what each may do on Kafka.

    Raises:
        ConfigurationError: a principal of every deployment has none.
    """
    names = {path.name for path in folder.iterdir() if path.is_dir()}
    if missing := sorted(set(kafka_users()) - names):
        raise ConfigurationError(f"{folder} has no login of {', '.join(missing)}", "make a folder for each")
    agents = sorted(name.removeprefix(_AGENT).replace("-", "_") for name in names if name.startswith(_AGENT))
    return {**kafka_users(), **agent_users(agents)}


def passwords(folder: Path, rights: Mapping[str, object], file: str) -> dict[str, str]:
    """The password in `file` of each principal.

    Raises:
        ConfigurationError: there is no such file, or it is empty.
    """
    found = {}
    for name in rights:
        path = folder / name / file
        text = path.read_text(encoding="utf-8").strip() if path.is_file() else ""
        if not text:
            raise ConfigurationError(f"{path} holds no password", "put one there, of letters and figures")
        found[name] = text
    return found


def rows(rights: Mapping[str, list[Acl]], *, kafka: bool, mongodb: bool) -> list[dict[str, Any]]:
    """A row for each principal: its number of rules on Kafka, its role in MongoDB."""
    return [
        {
            "principal": name,
            "kafka": f"{len(acls)} rules" if kafka else "-",
            "mongodb": (mongodb and role_of(name)) or "-",
        }
        for name, acls in rights.items()
    ]


def _to_mongodb(uri: str, known: Mapping[str, str]) -> None:
    try:
        with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=15_000) as client:
            ensure_users(client, known)
    except PyMongoError as error:
        raise StoreUnavailableError(f"MongoDB does not take its users ({type(error).__name__})") from None
