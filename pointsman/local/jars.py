"""Fetches and builds the jars that connectors/pom.xml pins, once, and lays out Flink's class path folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from pointsman.errors import ConfigurationError
from pointsman.local.layout import CONNECTORS, Layout
from pointsman.local.locks import locked

POM: Final = CONNECTORS / "pom.xml"
_SOURCES: Final = CONNECTORS / "src"
_MARKER: Final = "complete"
_MAVEN_TIMEOUT_S: Final = 900
_CONNECTOR_SERVICE: Final = "META-INF/services/org.apache.kafka.connect.source.SourceConnector"
_CONNECTOR_CLASS: Final = "com.mongodb.kafka.connect.MongoSourceConnector"


def jars_complete(layout: Layout) -> bool:
    """Whether the jars of today's pom and sources, and of the installed Flink, are there."""
    marker = layout.jars / _MARKER
    return marker.is_file() and marker.read_text(encoding="utf-8") == _fingerprint()


def ensure_jars(layout: Layout) -> None:
    """Fetch what is missing; calls Maven only when the pom, a source or Flink's version changed.

    Raises:
        ConfigurationError: Maven is absent or failed.
    """
    jars = layout.jars.resolve()  # the folder itself when several data folders share it
    jars.parent.mkdir(parents=True, exist_ok=True)
    with locked(jars.with_name(f"{jars.name}.lock"), wait=True):
        if not jars_complete(layout):
            _fetch(jars)


def _fetch(jars: Path) -> None:
    # A new folder, moved into place when it is whole: an interrupted download never passes for a complete one.
    fresh = jars.with_name(f"{jars.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    _run_maven(fresh)
    _announce_connector(fresh)
    _lay_out_flink_lib(fresh)
    (fresh / _MARKER).write_text(_fingerprint(), encoding="utf-8")
    shutil.rmtree(jars, ignore_errors=True)
    fresh.rename(jars)


def pyflink_folder() -> Path:
    """The installed apache-flink package, found without importing it.

    Raises:
        ConfigurationError: apache-flink is not installed.
    """
    found = find_spec("pyflink")
    if found is None or not found.submodule_search_locations:
        raise ConfigurationError("apache-flink is not installed", 'run: python -m pip install -e ".[local]"')
    return Path(found.submodule_search_locations[0])


def _fingerprint() -> str:
    digest = hashlib.sha256(POM.read_bytes())
    for source in sorted(_SOURCES.rglob("*.java")):
        digest.update(source.read_bytes())
    for jar in _flink_jars():
        digest.update(jar.name.encode())
    return digest.hexdigest()


def _flink_jars() -> list[Path]:
    """Flink's own jars; `flink-python` must be here and not in a job, or a second job finds its libraries loaded."""
    pyflink = pyflink_folder()
    return sorted((pyflink / "lib").glob("*.jar")) + sorted((pyflink / "opt").glob("flink-python-*.jar"))


def _run_maven(folder: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise ConfigurationError("Maven (mvn) is not installed", "install Maven 3.8 or newer; it gets the jars, once")
    command = [maven, "-B", "-q", "-ntp", "-f", str(POM), "package", f"-Djars.folder={folder}"]
    try:
        done = subprocess.run(  # noqa: S603  # fixed arguments
            command, capture_output=True, text=True, timeout=_MAVEN_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise ConfigurationError(
            f"Maven did not finish in {_MAVEN_TIMEOUT_S} s", "check the network, then start again"
        ) from None
    if done.returncode != 0:
        raise ConfigurationError(
            f"Maven could not fetch or build the jars: {_first_error(done.stdout)}",
            f"check the network, Maven's settings and that its Java is a JDK, then try: mvn -f {POM} package",
        )


def _first_error(output: str) -> str:
    errors = [line.partition("[ERROR]")[2].strip() for line in output.splitlines() if "[ERROR]" in line]
    return errors[0] if errors else "it gave no reason"


def _lay_out_flink_lib(folder: Path) -> None:
    flink_lib = folder / "flink-lib"
    flink_lib.mkdir()
    for jar in (*_flink_jars(), *(folder / "flink").glob("*.jar")):
        _link_or_copy(jar, flink_lib / jar.name)


def _announce_connector(folder: Path) -> None:
    """Give the connector the service entry that its jar lacks, so that Connect need not search every jar at start."""
    with zipfile.ZipFile(folder / "plugins" / "mongodb" / "service-entry.jar", "w") as jar:
        jar.writestr(_CONNECTOR_SERVICE, f"{_CONNECTOR_CLASS}\n")


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copy2(source, target)
