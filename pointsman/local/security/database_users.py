"""Users of the local stack's MongoDB: one per process, with no more rights than its work takes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from pymongo import MongoClient
from pymongo.errors import OperationFailure

from pointsman.deployment import CONNECT, CONSOLE, METRICS, OPERATOR, ROUTER, SWEEPER
from pointsman.lead_sweep import COLLECTION as LEADS
from pointsman.runtime.ledger import EFFECTS
from pointsman.settings import Settings
from pointsman.shredding.keys import COLLECTION as DATA_KEYS

DATABASE: Final[str] = Settings.model_fields["mongodb_database"].default
AGENT: Final = "pointsman-agent"
"""The role of every agent: which collections it has is its own affair."""
_LOOK: Final = ("find",)
_CHANGE: Final = ("find", "insert", "update", "remove")
_ALL: Final = ""
_UNKNOWN_ROLE: Final = 31
_UNKNOWN_USER: Final = 11


@dataclass(frozen=True, kw_only=True)
class DatabaseRole:
    """What one kind of process may do.

    Attributes:
        actions: MongoDB's words for it, by collection of our database; the empty name is every collection.
        inherits: roles that the server knows, by the database that they are about.
    """

    actions: Mapping[str, tuple[str, ...]]
    inherits: tuple[tuple[str, str], ...] = ()

    def privileges(self) -> list[dict[str, Any]]:
        """As MongoDB's commands want it."""
        return [
            {"resource": {"db": DATABASE, "collection": name}, "actions": list(actions)}
            for name, actions in self.actions.items()
        ]


ROLES: Final[Mapping[str, DatabaseRole]] = {
    AGENT: DatabaseRole(actions={_ALL: (*_CHANGE, "createIndex", "createCollection", "listIndexes")}),
    # A change stream on one collection, and the copy of what was there before it.
    CONNECT: DatabaseRole(actions={LEADS: ("find", "changeStream", "collStats"), _ALL: ("listCollections",)}),
    # Forms, decisions on effects, people who want no mail, lists of everything.
    CONSOLE: DatabaseRole(actions={_ALL: _CHANGE}),
    # `pointsman doctor` reads how far the log of changes reaches back.
    OPERATOR: DatabaseRole(actions={_ALL: (*_CHANGE, "createIndex")}, inherits=(("read", "local"),)),
    # Data keys are made on first use; only people delete them.
    ROUTER: DatabaseRole(actions={DATA_KEYS: ("find", "insert")}),
    SWEEPER: DatabaseRole(actions={LEADS: _LOOK}),
    METRICS: DatabaseRole(actions={EFFECTS: _LOOK}),
}


def role_of(principal: str) -> str | None:
    """The role of a principal; None of one that has nothing to do with the database."""
    if principal.startswith("agent-"):
        return AGENT
    return principal if principal in ROLES else None


def ensure_users(client: MongoClient[dict[str, Any]], passwords: Mapping[str, str]) -> None:
    """Make the roles and the users, or set them right.

    Args:
        client: logged in as an administrator.
        passwords: by principal; those without a role are left out.
    """
    users = {name: (role, password) for name, password in passwords.items() if (role := role_of(name))}
    for role in sorted({role for role, _ in users.values()}):
        _ensure_role(client, role, ROLES[role])
    for name, (role, password) in users.items():
        _ensure_user(client, name, password, [{"role": role, "db": "admin"}])


def make_administrator(client: MongoClient[dict[str, Any]], name: str, password: str) -> None:
    """The first user, which a server without users lets anybody on its own machine make."""
    client.admin.command("createUser", name, pwd=password, roles=[{"role": "root", "db": "admin"}])


def _ensure_role(client: MongoClient[dict[str, Any]], name: str, role: DatabaseRole) -> None:
    inherited = [{"role": builtin, "db": database} for builtin, database in role.inherits]
    rights = {"privileges": role.privileges(), "roles": inherited}
    _update_or_create(client, ("updateRole", "createRole"), name, rights, _UNKNOWN_ROLE)


def _ensure_user(
    client: MongoClient[dict[str, Any]], name: str, password: str, roles: Iterable[Mapping[str, str]]
) -> None:
    told = {"pwd": password, "roles": list(roles)}
    _update_or_create(client, ("updateUser", "createUser"), name, told, _UNKNOWN_USER)


def _update_or_create(
    client: MongoClient[dict[str, Any]], commands: tuple[str, str], name: str, told: Mapping[str, Any], unknown: int
) -> None:
    update, create = commands
    try:
        client.admin.command(update, name, **told)
    except OperationFailure as error:
        if error.code != unknown:
            raise
        client.admin.command(create, name, **told)
