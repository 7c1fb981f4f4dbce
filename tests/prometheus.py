"""A real Prometheus with the configuration that ships, on the targets that a stack left."""

from __future__ import annotations

import json
import re
import shutil
import socket
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.witness import eventually

CONFIG = Path(__file__).parents[1] / "docker" / "prometheus"
DASHBOARDS = Path(__file__).parents[1] / "docker" / "grafana" / "dashboards"
_WORDS = frozenset({"by", "le", "sum", "max", "min", "rate", "increase", "histogram_quantile", "min_over_time"})


class Prometheus:
    """Asked over its HTTP interface."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as answer:  # noqa: S310 - loopback
                return bool(answer.status == 200)
        except OSError:
            return False

    def targets(self) -> dict[str, str]:
        """Health by address."""
        found = self._get("/api/v1/targets?state=active")["activeTargets"]
        return {f"{target['labels']['program']} {target['scrapeUrl']}": target["health"] for target in found}

    def query(self, expression: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._get(f"/api/v1/query?query={urllib.parse.quote(expression)}")["result"]
        return found

    def value(self, expression: str) -> float:
        """The one value of `expression`, 0 when there is none."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else 0.0

    def known(self) -> set[str]:
        """Names of all metrics that were scraped, those without a sample included, without counters' endings."""
        return {bare(name) for name in self._get("/api/v1/label/__name__/values")} | {
            bare(name) for name in self._get("/api/v1/metadata")
        }

    def rules(self) -> list[dict[str, Any]]:
        return [rule for group in self._get("/api/v1/rules")["groups"] for rule in group["rules"]]

    def _get(self, path: str) -> Any:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:  # noqa: S310 - loopback
            return json.loads(answer.read())["data"]


@contextmanager
def prometheus(targets: Path, folder: Path) -> Iterator[Prometheus]:
    """Prometheus with the shipped configuration, which reads `targets/*.json`; its data stay in `folder`."""
    program = shutil.which("prometheus")
    assert program, "prometheus is not installed: apt-get install prometheus"
    text = (CONFIG / "prometheus.yml").read_text().replace("15s", "1s")
    (folder / "prometheus.yml").write_text(text)
    shutil.copy(CONFIG / "alerts.yml", folder)
    (folder / "targets").symlink_to(targets, target_is_directory=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
               f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn"]  # fmt: skip
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            server = Prometheus(port)
            eventually(server.is_ready, what=f"Prometheus, see {folder / 'log'}")
            yield server
        finally:
            process.terminate()
            process.wait(timeout=20)


def expressions(dashboard: Path) -> list[str]:
    """Every query of a dashboard."""
    panels = json.loads(dashboard.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel.get("targets", [])]


def metrics_in(expression: str) -> set[str]:
    """Names of the metrics in an expression, without counters' and histograms' endings."""
    without_labels = re.sub(r"\{[^}]*\}|\b(by|without)\s*\([^)]*\)|\[[^]]*\]", " ", expression)
    return {bare(name) for name in re.findall(r"[a-zA-Z_:][a-zA-Z0-9_:]*", without_labels) if name not in _WORDS}


def bare(name: str) -> str:
    return re.sub(r"_(total|bucket|count|sum|created)$", "", name)
