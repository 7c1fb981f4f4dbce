"""The store in examples/postgresql-store on a real PostgreSQL: chosen by its entry point, it keeps the contract."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import pytest

from pointsman.errors import ConfigurationError, InvalidPayloadError, StoreUnavailableError
from pointsman.runtime.ledger import EffectLedger, EffectState, effect_id
from pointsman.settings import Settings
from pointsman.store import DocumentStore
from pointsman.store_contract import StoreContract
from pointsman.stores import open_store
from tests.e2e.system import ROOT
from tests.witness import eventually

PACKAGE = ROOT / "examples" / "postgresql-store"
NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def programs(folder: Path) -> Path:
    """PostgreSQL's programs, where also another user may run them: it refuses to run as root."""
    spec = find_spec("pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    shutil.copytree(package.with_name("pgserver.libs"), folder / "pgserver.libs")  # found beside the package
    return Path(shutil.copytree(package / "pginstall", folder / "pgserver" / "pginstall")) / "bin"


def free_port() -> int:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        return int(reserved.getsockname()[1])


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """Address of a server; each database in it is made by whoever wants one."""
    user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder, port = Path(name), free_port()
        bin_ = programs(folder)
        (folder / "data").mkdir()
        if os.geteuid() == 0:
            folder.chmod(0o755)
            shutil.chown(folder / "data", user)
        run = {"user": user, "cwd": str(folder)} if os.geteuid() == 0 else {"cwd": str(folder)}
        data = str(folder / "data")
        made: list[str | Path] = [bin_ / "initdb", "-D", data, "-U", "postgres", "--auth=trust", "--no-sync"]
        subprocess.run(made, check=True, capture_output=True, timeout=60, **run)  # type: ignore[call-overload]
        serve = [bin_ / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", data]
        log = stack.enter_context((folder / "log").open("wb"))
        server = stack.enter_context(subprocess.Popen(serve, stdout=log, stderr=log, **run))  # type: ignore[call-overload]
        stack.callback(server.terminate)
        ready: list[str | Path] = [bin_ / "pg_isready", "-h", "127.0.0.1", "-p", str(port)]
        eventually(lambda: subprocess.run(ready, capture_output=True, check=False).returncode == 0, what="PostgreSQL")
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"


@pytest.fixture
def chosen(postgres: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings that name the store, with its package as it would be installed."""
    told = tmp_path / "pointsman_postgresql-0.1.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text("Metadata-Version: 2.1\nName: pointsman-postgresql\nVersion: 0.1.0\n")
    (told / "entry_points.txt").write_text("[pointsman.stores]\npostgresql = pointsman_postgresql:open_store\n")
    assert 'postgresql = "pointsman_postgresql:open_store"' in (PACKAGE / "pyproject.toml").read_text()
    monkeypatch.setattr(sys, "path", [str(PACKAGE), str(tmp_path), *sys.path])
    return Settings(store="postgresql", store_uri=postgres)


class TestPostgreSQL(StoreContract):
    @pytest.fixture
    async def store(self, postgres: str, chosen: Settings) -> AsyncIterator[DocumentStore]:
        connection = await asyncpg.connect(postgres)
        await connection.execute("DROP TABLE IF EXISTS documents")
        await connection.close()
        opened = open_store(chosen)
        yield opened
        await opened.close()

    async def test_the_effect_ledger_begins_an_effect_once(self, store: DocumentStore) -> None:
        effect = effect_id("lead", "campaign", str(id(store)))
        mine, other = (EffectLedger(store, now=lambda: NOW, owner=owner) for owner in ("a", "b"))
        begun = await mine.begin(effect, {"lead_id": "lead"})
        assert begun.may_send
        await mine.finish(begun, EffectState.SENT)
        assert (await other.begin(effect)).state is EffectState.SENT
        assert not (await other.begin(effect)).may_send

    async def test_a_text_that_it_cannot_keep_is_refused(self, store: DocumentStore) -> None:
        with pytest.raises(InvalidPayloadError, match="cannot keep"):
            await store.put("things", {"_id": "a", "text": "a\0b"})

    async def test_values_are_never_sql(self, store: DocumentStore) -> None:
        hostile = "x'; DROP TABLE documents; --"
        await store.ensure_index(hostile, [hostile])
        await store.put(hostile, {"_id": hostile, "text": hostile})
        assert await store.find(hostile, {"text": hostile}, sort=hostile) == [{"_id": hostile, "text": hostile}]
        assert await store.delete(hostile, hostile)


async def test_a_server_that_is_away_is_a_transient_error_that_shows_no_password(chosen: Settings) -> None:
    uri = f"postgresql://user:hunter2@127.0.0.1:{free_port()}/x"
    store = open_store(Settings(store="postgresql", store_uri=uri))
    with pytest.raises(StoreUnavailableError) as raised:
        await store.get("things", "a")
    assert "hunter2" not in str(raised.value)
    await store.close()


def test_without_an_address_it_says_which_setting_is_missing(chosen: Settings) -> None:
    with pytest.raises(ConfigurationError, match="POINTSMAN_STORE_URI"):
        open_store(Settings(store="postgresql", store_uri=None))
