"""Registering a connector with a worker that takes it, refuses it, is busy or away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from pointsman.connect_rest import ConnectUnavailableError, register, validate
from pointsman.errors import ConfigurationError


class Worker(BaseHTTPRequestHandler):
    status: ClassVar[int] = 200
    answer: ClassVar[bytes] = b'{"message": "secret-password"}'
    asked: ClassVar[list[tuple[str, Any]]] = []

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.asked.append((self.path, body))
        answer = self.answer
        self.send_response(self.status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    Worker.asked.clear()
    server = HTTPServer(("127.0.0.1", 0), Worker)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_configuration_is_put_in_force(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "status", 201)
    register(f"{url}/", "leads-source", {"database": "sdr"})
    assert Worker.asked == [("/connectors/leads-source/config", {"database": "sdr"})]


def test_a_refusal_is_told_without_the_configuration(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "status", 400)
    with pytest.raises(ConfigurationError, match="refused the configuration of leads-source") as caught:
        register(url, "leads-source", {})
    assert "secret-password" not in str(caught.value)


def test_a_configuration_is_looked_at_and_what_is_wrong_is_named_without_its_value(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [
        {"value": {"name": "database", "value": "sdr", "errors": []}},
        {"value": {"name": "connection.uri", "value": "secret-password", "errors": ["secret-password is no address"]}},
    ]
    config = {"connector.class": "com.mongodb.kafka.connect.MongoSourceConnector"}
    monkeypatch.setattr(Worker, "answer", json.dumps({"configs": found[:1]}).encode())
    validate(url, "leads-source", config)
    path = "/connector-plugins/MongoSourceConnector/config/validate"
    assert Worker.asked == [(path, {**config, "name": "leads-source"})]
    monkeypatch.setattr(Worker, "answer", json.dumps({"configs": found}).encode())
    with pytest.raises(
        ConfigurationError, match=r"would refuse the configuration of leads-source: connection\.uri"
    ) as no:
        validate(url, "leads-source", config)
    assert "secret-password" not in str(no.value)


def test_a_busy_worker_may_be_asked_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Worker, "status", 409)
    with pytest.raises(ConnectUnavailableError, match="answered 409"):
        register(url, "leads-source", {})


def test_a_worker_that_is_away_may_be_asked_again() -> None:
    with pytest.raises(ConnectUnavailableError, match="does not answer"):
        register("http://127.0.0.1:1", "leads-source", {})
