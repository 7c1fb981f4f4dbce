"""What must be true before anything starts: each problem is one line with its remedy."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import psutil

from pointsman.errors import ConfigurationError
from pointsman.local.database import find_mongod
from pointsman.local.jars import jars_complete, pyflink_folder
from pointsman.local.java import OLDEST, Java, find_java
from pointsman.local.layout import Layout
from pointsman.local.ports import is_free

PYTHON: Final = (3, 11)
DISK_FREE_BYTES: Final = 3 * 1024**3
MEMORY_BYTES: Final = 3 * 1024**3


def preflight(layout: Layout, ports: Mapping[str, int], java_home: Path | None) -> Java:
    """Check everything, and find the Java to use.

    Args:
        layout: the data folder.
        ports: ports that must be free, by name; leave out those that the stack itself already holds.
        java_home: the JAVA_HOME of the environment.

    Raises:
        ConfigurationError: something is missing; every problem is a line of the text.
    """
    java = find_java(java_home)
    checks = (
        _python(),
        _java(java, java_home),
        _installed(),
        _maven(layout),
        _folder(layout),
        _ports(ports),
        _disk(layout),
        _memory(),
    )
    problems = [problem for check in checks for problem in check]
    if problems or java is None:
        raise ConfigurationError("\n".join(problems))
    return java


def _python() -> Iterator[str]:
    if sys.version_info[:2] != PYTHON:
        found = ".".join(str(part) for part in sys.version_info[:2])
        yield f"this is Python {found} and apache-flink needs 3.11; make the virtual environment with python3.11"


def _java(java: Java | None, java_home: Path | None) -> Iterator[str]:
    remedy = f"install a JDK {OLDEST} or newer, or set JAVA_HOME to one"
    if java is None:
        where = f"in JAVA_HOME={java_home}" if java_home else "on the PATH"
        yield f"no Java was found {where}; {remedy}"
    elif not java.is_new_enough:
        version = "of unknown version" if java.version is None else f"version {java.version}"
        yield f"{java.executable} is {version}; {remedy}"


def _installed() -> Iterator[str]:
    for look in (pyflink_folder, find_mongod):
        try:
            look()
        except ConfigurationError as error:
            yield str(error)


def _maven(layout: Layout) -> Iterator[str]:
    try:
        needed = not jars_complete(layout)
    except ConfigurationError:
        return  # apache-flink is missing, which has a line of its own
    if needed and shutil.which("mvn") is None:
        yield "Maven (mvn) was not found; install Maven 3.8 or newer (needed once, to fetch the jars)"


def _folder(layout: Layout) -> Iterator[str]:
    try:
        layout.make_folders()
    except OSError as error:
        yield f"the data folder {layout.data_dir} cannot be used ({error.strerror}); set POINTSMAN_DATA_DIR to another"


def _ports(ports: Mapping[str, int]) -> Iterator[str]:
    taken = {name: port for name, port in ports.items() if not is_free(port)}
    holders = _holders(taken.values()) if taken else {}
    for name, port in taken.items():
        holder = holders.get(port, "another program")
        yield f"port {port} ({name}) is taken by {holder}; stop it, or choose --port {name}=NUMBER or --free-ports"


def _holders(ports: Iterable[int]) -> dict[int, str]:
    """Who listens on `ports`, as far as the system tells us."""
    wanted = set(ports)
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return {}
    listening = [each for each in connections if each.status == psutil.CONN_LISTEN]
    local: list[tuple[Any, int | None]] = [(each.laddr, each.pid) for each in listening]
    return {address.port: _name(pid) for address, pid in local if pid is not None and address.port in wanted}


def _name(pid: int) -> str:
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return f"pid {pid}"


def _disk(layout: Layout) -> Iterator[str]:
    existing = next(folder for folder in (layout.data_dir, *layout.data_dir.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < DISK_FREE_BYTES:
        yield (
            f"only {_gib(free)} GiB are free for {layout.data_dir} and {_gib(DISK_FREE_BYTES)} are needed; "
            "free some, or set POINTSMAN_DATA_DIR to another disk"
        )


def _memory() -> Iterator[str]:
    available = psutil.virtual_memory().available
    if available < MEMORY_BYTES:
        yield (
            f"only {_gib(available)} GiB of memory are available and about {_gib(MEMORY_BYTES)} are needed; "
            "close other programs"
        )


def _gib(number: int) -> str:
    return f"{number / 1024**3:.1f}"
