"""What is looked at before anything starts: one line per problem, each with its remedy."""

from __future__ import annotations

import shutil
import socket
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from pointsman.errors import ConfigurationError
from pointsman.local import jars, preflight
from pointsman.local.java import find_java
from pointsman.local.layout import Layout


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(data_dir=tmp_path / "data")


@pytest.fixture
def java_home(tmp_path: Path) -> Path:
    return fake_jdk(tmp_path / "jdk", 'openjdk version "21.0.2" 2024-01-16')


@pytest.fixture(autouse=True)
def _jars_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "jars_complete", lambda layout: True)


def fake_jdk(home: Path, says: str) -> Path:
    executable = home / "bin" / "java"
    executable.parent.mkdir(parents=True)
    executable.write_text(f"#!/bin/sh\ncat >&2 <<'X'\n{says}\nX\n")
    executable.chmod(0o755)
    return home


def problems(layout: Layout, java_home: Path, ports: dict[str, int] | None = None) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        preflight.preflight(layout, ports or {}, java_home)
    return str(refused.value).splitlines()


def test_a_machine_that_has_everything_passes(layout: Layout, java_home: Path) -> None:
    assert preflight.preflight(layout, {}, java_home).version == 21


def test_a_missing_java_is_one_line_that_says_where_it_was_looked_for(layout: Layout, tmp_path: Path) -> None:
    (line,) = problems(layout, tmp_path / "nowhere")
    assert (
        line == f"no Java was found in JAVA_HOME={tmp_path}/nowhere; install a JDK 17 or newer, or set JAVA_HOME to one"
    )


@pytest.mark.parametrize(("says", "found"), [('java version "1.8.0_392"', "version 8"), ("?", "of unknown version")])
def test_an_old_java_is_named_with_its_version(layout: Layout, tmp_path: Path, says: str, found: str) -> None:
    (line,) = problems(layout, fake_jdk(tmp_path / "old", says))
    assert line == f"{tmp_path}/old/bin/java is {found}; install a JDK 17 or newer, or set JAVA_HOME to one"


def test_an_empty_java_home_is_as_good_as_none(monkeypatch: pytest.MonkeyPatch, java_home: Path) -> None:
    monkeypatch.setenv("PATH", str(java_home / "bin"), prepend=":")
    found = find_java(Path())
    assert found is not None
    assert found.executable == java_home / "bin" / "java"


def test_maven_is_asked_for_only_when_jars_are_missing(
    layout: Layout, java_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert preflight.preflight(layout, {}, java_home)
    monkeypatch.setattr(preflight, "jars_complete", lambda layout: False)
    (line,) = problems(layout, java_home)
    assert line.startswith("Maven (mvn) was not found; install Maven")


def test_a_taken_port_is_named_with_its_holder(layout: Layout, java_home: Path) -> None:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        (line,) = problems(layout, java_home, {"kafka": port})
    assert line.startswith(f"port {port} (kafka) is taken by ")
    assert f"(pid {psutil.Process().pid})" in line
    assert line.endswith("choose --port kafka=NUMBER or --free-ports")


def test_a_full_disk_and_little_memory_are_two_lines(
    layout: Layout, java_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1024**3))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=1024**3))
    disk, memory = problems(layout, java_home)
    assert disk.startswith("only 1.0 GiB are free for ")
    assert memory.startswith("only 1.0 GiB of memory are available")


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path, java_home: Path) -> None:
    (tmp_path / "file").write_text("")
    (line,) = problems(Layout(data_dir=tmp_path / "file" / "data"), java_home)
    assert "cannot be used (Not a directory); set POINTSMAN_DATA_DIR to another" in line


def test_another_python_is_named(layout: Layout, java_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preflight, "PYTHON", (3, 7))
    (line,) = problems(layout, java_home)
    assert line.startswith(f"this is Python {sys.version_info.major}.{sys.version_info.minor} and ")


PRETENDED_MAVEN = """
for argument in "$@"; do
  case "$argument" in -Djars.folder=*) jars="${argument#-Djars.folder=}";; esac
done
mkdir -p "$jars/lib" "$jars/plugins/mongodb" "$jars/flink"
touch "$jars/flink/connector.jar"
"""


class TestJars:
    """Fetching jars, with a Maven that only pretends."""

    @pytest.fixture
    def maven(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        folder = tmp_path / "bin"
        folder.mkdir()
        self.pretend(folder / "mvn", f'{PRETENDED_MAVEN}\necho run >> "{tmp_path}/runs"')
        monkeypatch.setenv("PATH", str(folder), prepend=":")
        return folder / "mvn"

    @staticmethod
    def pretend(executable: Path, script: str) -> None:
        executable.write_text(f"#!/bin/sh\n{script}\n")
        executable.chmod(0o755)

    @pytest.fixture
    def layout(self, tmp_path: Path) -> Layout:
        layout = Layout(data_dir=tmp_path / "a b")
        layout.make_folders()
        return layout

    def test_a_second_run_does_not_call_maven(self, layout: Layout, maven: Path, tmp_path: Path) -> None:
        for _ in range(2):
            jars.ensure_jars(layout)
        assert (tmp_path / "runs").read_text() == "run\n"
        names = {jar.name for jar in layout.flink_lib.glob("*.jar")}
        assert "connector.jar" in names
        assert any(name.startswith("flink-python-") for name in names)
        assert any(name.startswith("flink-dist-") for name in names)

    def test_another_pom_calls_it_again(
        self, layout: Layout, maven: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        jars.ensure_jars(layout)
        pom = tmp_path / "pom.xml"
        pom.write_text("<project/>")
        monkeypatch.setattr(jars, "POM", pom)
        assert not jars.jars_complete(layout)
        jars.ensure_jars(layout)
        assert (tmp_path / "runs").read_text() == "run\nrun\n"

    def test_a_failing_maven_is_one_line_and_leaves_nothing_that_passes_for_jars(
        self, layout: Layout, maven: Path
    ) -> None:
        self.pretend(maven, 'echo "[ERROR] Could not transfer artifact x"; exit 1')
        with pytest.raises(ConfigurationError, match="or build the jars: Could not transfer artifact x"):
            jars.ensure_jars(layout)
        assert not jars.jars_complete(layout)

    def test_data_folders_can_share_their_jars(self, maven: Path, tmp_path: Path) -> None:
        for name in ("one", "two"):
            layout = Layout(data_dir=tmp_path / name, shared_jars=tmp_path / "shared" / "jars")
            layout.make_folders()
            jars.ensure_jars(layout)
            assert list(layout.flink_lib.glob("connector.jar"))
        assert (tmp_path / "runs").read_text() == "run\n"
