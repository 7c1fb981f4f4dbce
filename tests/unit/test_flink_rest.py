"""Flink's REST API as a small server answers it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest

from pointsman.errors import ConfigurationError
from pointsman.flink_rest import FlinkRefusedError, FlinkRest, FlinkUnavailableError


class Handler(BaseHTTPRequestHandler):
    answers: ClassVar[dict[str, list[Any]]] = {}
    asked: ClassVar[list[tuple[str, Any]]] = []

    def _answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        self.asked.append((f"{self.command} {self.path}", json.loads(self.rfile.read(length) or b"null")))
        answers = self.answers.get(f"{self.command} {self.path}")
        answer = None if not answers else answers.pop(0) if len(answers) > 1 else answers[0]
        body = json.dumps(answer).encode()
        self.send_response(404 if answer is None else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = _answer

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def rest() -> Iterator[FlinkRest]:
    Handler.answers.clear()
    Handler.asked.clear()
    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield FlinkRest(f"http://127.0.0.1:{server.server_port}/")
    server.shutdown()
    thread.join()
    server.server_close()


def overview(*jobs: tuple[str, str, int]) -> dict[str, Any]:
    return {"jobs": [{"jid": f"id{at}", "name": name, "state": state, "start-time": at} for name, state, at in jobs]}


def test_only_a_job_that_has_not_ended_is_live(rest: FlinkRest) -> None:
    jobs = [("r", "FAILED", 1), ("r", "CANCELED", 3), ("r", "RESTARTING", 2), ("other", "RUNNING", 4)]
    Handler.answers["GET /jobs/overview"] = [overview(*jobs)]

    live = rest.live_job("r")

    assert live is not None
    assert live.id == "id2"
    assert [job.started_ms for job in rest.jobs()] == [4, 3, 2, 1]


def test_stopping_waits_for_the_savepoint_and_says_where_it_is(rest: FlinkRest) -> None:
    done = {"status": {"id": "COMPLETED"}, "operation": {"location": "file:/s"}}
    Handler.answers["POST /jobs/j/stop"] = [{"request-id": "q"}]
    Handler.answers["GET /jobs/j/savepoints/q"] = [{"status": {"id": "IN_PROGRESS"}}, done]

    assert rest.stop("j", "/d", timeout_s=5) == "file:/s"
    assert Handler.asked[0] == ("POST /jobs/j/stop", {"targetDirectory": "/d", "drain": False})


def test_a_failed_savepoint_is_an_error(rest: FlinkRest) -> None:
    failed = {"status": {"id": "COMPLETED"}, "operation": {"failure-cause": {}}}
    Handler.answers["POST /jobs/j/savepoints"] = [{"request-id": "q"}]
    Handler.answers["GET /jobs/j/savepoints/q"] = [failed]

    with pytest.raises(FlinkRefusedError, match="wrote no savepoint"):
        rest.savepoint("j", None, timeout_s=5)


def test_a_savepoint_that_does_not_end_is_given_up(rest: FlinkRest) -> None:
    Handler.answers["POST /jobs/j/savepoints"] = [{"request-id": "q"}]
    Handler.answers["GET /jobs/j/savepoints/q"] = [{"status": {"id": "IN_PROGRESS"}}]

    with pytest.raises(FlinkUnavailableError, match="longer than 0 s"):
        rest.savepoint("j", None, timeout_s=0)


def test_the_newer_of_checkpoint_and_savepoint_is_the_last_snapshot(rest: FlinkRest) -> None:
    latest = {"completed": {"id": 4, "external_path": "/chk"}, "savepoint": {"id": 5, "external_path": "/sav"}}
    Handler.answers["GET /jobs/j/checkpoints"] = [{"latest": latest}, {"latest": {"completed": None}}]

    assert rest.last_snapshot("j") == "/sav"
    assert rest.last_snapshot("j") is None


def test_an_answer_that_says_no_is_not_a_broken_connection(rest: FlinkRest) -> None:
    with pytest.raises(FlinkRefusedError, match="404 to PATCH"):
        rest.cancel("nobody")


def test_nobody_there_is_said_with_the_address() -> None:
    with pytest.raises(FlinkUnavailableError, match=r"127\.0\.0\.1:1 does not answer"):
        FlinkRest("http://127.0.0.1:1").jobs()


@pytest.mark.parametrize("url", ["flink:8081", "ftp://x", ""])
def test_a_wrong_address_is_a_setting_to_correct(url: str) -> None:
    with pytest.raises(ConfigurationError):
        FlinkRest(url)
