"""The endpoint that Prometheus reads: found by a file, patient with a taken port."""

from __future__ import annotations

import json
import socket
import urllib.request
from pathlib import Path

import pytest

from pointsman.settings import Settings
from pointsman.telemetry.endpoint import MetricsEndpoint, leave_target, ports_in
from pointsman.telemetry.metrics import Metrics
from tests.witness import eventually


def endpoint(metrics: Metrics, port: int = 0, file: Path | None = None) -> MetricsEndpoint:
    found = MetricsEndpoint.of(Settings(metrics_port=port, metrics_file=file), metrics.registry, "agent/x")
    assert found
    return found


def read(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


def test_metrics_are_shown_and_found(tmp_path: Path) -> None:
    metrics, file = Metrics(), tmp_path / "metrics" / "agent-x.json"
    metrics.retries.labels("TimeoutError").inc()
    shown = endpoint(metrics, file=file)
    try:
        assert json.loads(file.read_text()) == [
            {"targets": [f"127.0.0.1:{shown.port}"], "labels": {"program": "agent/x"}}
        ]
        assert 'pointsman_retries_total{error_type="TimeoutError"} 1.0' in read(shown.port)
        assert ports_in(file.parent, "agent-x") == [shown.port]
    finally:
        shown.close()
    assert not file.exists()


def test_a_taken_port_is_tried_again_until_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pointsman.telemetry.endpoint._TRY_AGAIN_S", 0.05)
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        shown = endpoint(Metrics(), port=port)
        assert shown.port == 0
    try:
        eventually(lambda: shown.port == port, what="the endpoint", every_s=0.02)
        assert "pointsman_router_waiting" in read(port)
    finally:
        shown.close()


def test_closing_ends_the_tries(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        shown = endpoint(Metrics(), port=holder.getsockname()[1])
        shown.close()
        assert shown.port == 0


def test_the_file_of_a_successor_stays(tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    before, after = endpoint(Metrics(), file=file), endpoint(Metrics(), file=file)
    before.close()
    assert ports_in(tmp_path, "x") == [after.port]
    after.close()
    assert ports_in(tmp_path, "x") == []


def test_no_port_no_endpoint() -> None:
    assert MetricsEndpoint.of(Settings(), Metrics().registry, "x") is None


def test_ports_of_a_program_are_those_in_its_files(tmp_path: Path) -> None:
    leave_target(tmp_path / "taskmanager-1.json", "127.0.0.1:7", "router")
    leave_target(tmp_path / "taskmanager-1.flink.json", "127.0.0.1:8", "taskmanager-1")
    leave_target(tmp_path / "taskmanager-10.json", "127.0.0.1:9", "router")
    (tmp_path / "broken.json").write_text("{")
    assert sorted(ports_in(tmp_path, "taskmanager-1")) == [7, 8]
    assert ports_in(tmp_path, "broken") == []
