"""A PostgreSQL of one's own with pgvector, from the package `pgserver`, for as long as a block works."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from bench.programs import BenchError, wait_for

_STARTS_WITHIN_S = 30.0


@contextmanager
def own_postgres() -> Iterator[str]:
    """A server on a socket that nobody else sees; its address.

    Raises:
        BenchError: the package is missing, or the server does not start.
    """
    found = importlib.util.find_spec("pgserver")
    if found is None or found.origin is None:
        raise BenchError("there is no pgserver; `make setup` installs it")
    programs = Path(found.origin).parent / "pginstall" / "bin"
    # PostgreSQL does not run as root.
    user = "nobody" if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="pg "))
    try:
        if user:
            shutil.chown(folder, user)
        with _served(programs, folder, user):
            yield f"host='{folder}' user=postgres dbname=postgres"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _served(programs: Path, folder: Path, user: str | None) -> Iterator[None]:
    data = folder / "data"
    made = [str(programs / "initdb"), "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync"]
    subprocess.run(made, check=True, capture_output=True, user=user, cwd=folder)
    command = [str(programs / "postgres"), "-D", str(data), "-k", str(folder), "-h", "", "-F"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, user=user, cwd=folder)
    try:
        wait_for("PostgreSQL", lambda: _answers(f"host='{folder}' user=postgres dbname=postgres"), _STARTS_WITHIN_S)
        yield
    finally:
        process.terminate()
        process.wait()


def _answers(address: str) -> bool:
    try:
        psycopg.connect(address).close()
    except psycopg.OperationalError:
        return False
    return True
