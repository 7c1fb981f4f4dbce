"""The HTTP endpoint at which Prometheus reads one process's metrics, and the file that says where it is."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Final
from wsgiref.simple_server import WSGIServer

import structlog
from prometheus_client import CollectorRegistry, start_http_server

from pointsman.settings import Settings

_TRY_AGAIN_S: Final = 1.0

_log = structlog.get_logger(__name__)


class MetricsEndpoint:
    """Serves `/metrics` on a thread of its own.

    A port that is taken is tried again in the background, as often as it takes: a process that just took another's
    place finds it free soon, and metrics are no reason not to start.

    Args:
        registry: what is shown.
        host: address to listen on.
        port: its number; 0 lets the system choose.
        file: where the address is left for Prometheus's file-based service discovery; None leaves it nowhere.
        program: the label that tells this process from others.
    """

    def __init__(
        self, registry: CollectorRegistry, *, host: str, port: int, file: Path | None = None, program: str = ""
    ) -> None:
        self._registry = registry
        self._host = host
        self._wanted = port
        self._file = file
        self._program = program
        self._closed = threading.Event()
        self._server: WSGIServer | None = None
        self._lock = threading.Lock()
        self.port = 0

    @staticmethod
    def of(settings: Settings, registry: CollectorRegistry, service: str) -> MetricsEndpoint | None:
        """The endpoint that the settings want, started; None when they want none."""
        if settings.metrics_port is None:
            return None
        endpoint = MetricsEndpoint(
            registry,
            host=settings.metrics_host,
            port=settings.metrics_port,
            file=settings.metrics_file,
            program=service,
        )
        endpoint.start()
        return endpoint

    def start(self) -> None:
        """Listen, now or as soon as the port is free."""
        if not self._listens():
            _log.warning("the port for metrics is taken, trying again", port=self._wanted)
            threading.Thread(target=self._keep_trying, name="metrics", daemon=True).start()

    def close(self) -> None:
        """Stop listening, and take the file away."""
        self._closed.set()
        with self._lock:
            if self._server is not None:
                self._server.shutdown()
                self._server.server_close()
                self._server = None
        # Another process may have taken the place, and the file, of this one by now.
        if self._file is not None and self.port in _ports_in(self._file):
            self._file.unlink(missing_ok=True)

    def _keep_trying(self) -> None:
        while not self._closed.wait(_TRY_AGAIN_S):
            if self._listens():
                return

    def _listens(self) -> bool:
        with self._lock:
            if self._closed.is_set():
                return True
            try:
                self._server, _ = start_http_server(self._wanted, self._host, self._registry)
            except OSError:
                return False
            self.port = self._server.server_port
        if self._file is not None:
            leave_target(self._file, f"{self._host}:{self.port}", self._program)
        return True


def leave_target(file: Path, address: str, program: str) -> None:
    """Write `file` so that Prometheus finds `address` there (`file_sd_configs`)."""
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text(json.dumps([{"targets": [address], "labels": {"program": program}}]) + "\n", encoding="utf-8")
    fresh.replace(file)


def ports_in(folder: Path, program: str) -> list[int]:
    """The ports that `program` left in `folder`: those of `<program>.json` and `<program>.<part>.json`."""
    files = sorted([*folder.glob(f"{program}.json"), *folder.glob(f"{program}.*.json")])
    return [port for file in files for port in _ports_in(file)]


def _ports_in(file: Path) -> list[int]:
    try:
        groups = json.loads(file.read_text(encoding="utf-8"))
        return [int(address.rpartition(":")[2]) for group in groups for address in group["targets"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # just gone, or somebody else's
