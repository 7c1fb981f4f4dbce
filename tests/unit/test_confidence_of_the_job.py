"""From the job's arguments to the decision: operator, model process and server between them, without Flink."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI, Request

from flink_jobs.model_process.address import ModelAddress
from flink_jobs.operators import route
from flink_jobs.operators.model_calls import SharedModelCalls
from flink_jobs.route_messages import route_options
from pointsman.job_options import JobOptions
from tests.durable_call import SHARD, Flink, message, started
from tests.served import served

Said = tuple[str, float | None]
"""The agent that a server chooses, and its probability; None where it gives no log-probabilities."""


class Server:
    """Answers as the test says, one answer after the other."""

    def __init__(self) -> None:
        self.url = ""
        self.to_say: list[Said] = []
        self.asked: list[dict[str, Any]] = []

    async def complete(self, request: Request) -> dict[str, Any]:
        body = await request.json()
        self.asked.append(body)
        agent, probability = self.to_say.pop(0)
        parts = ['{"agent":"', agent, '","reason":"r"}']
        choice: dict[str, Any] = {"message": {"content": "".join(parts)}, "finish_reason": "stop"}
        if probability is not None and body.get("logprobs"):
            logprobs = zip(parts, (0.0, math.log(probability), 0.0), strict=True)
            choice["logprobs"] = {"content": [{"token": token, "logprob": each} for token, each in logprobs]}
        return {"model": body["model"], "choices": [choice], "usage": {}}


@pytest.fixture(scope="module")
def whole_server() -> Iterator[Server]:
    server, app = Server(), FastAPI()
    app.post("/v1/chat/completions")(server.complete)
    with served(app) as address:
        server.url = f"{address}/v1"
        yield server


@pytest.fixture(scope="module")
def model_process(whole_server: Server) -> Iterator[SharedModelCalls]:
    calls = SharedModelCalls()
    calls.take(ModelAddress(base_url=whole_server.url, model="cheap"))
    yield calls
    calls.give_back()


@pytest.fixture
def server(whole_server: Server, model_process: SharedModelCalls, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(route, "MODEL_CALLS", model_process)
    whole_server.asked.clear()
    yield whole_server
    assert whole_server.to_say == []


def decided(server: Server, *arguments: str, says: list[Said]) -> tuple[str, dict[str, Any]]:
    """Where a message goes by the job's arguments and what the model says, and the decision as it is logged."""
    server.to_say = says
    told = JobOptions.parse(["--kafka-bootstrap=k", f"--openai-base-url={server.url}", "--model=cheap", *arguments])
    flink = started(Flink(options=route_options(told)))
    assert flink.message(message("w", 1)) == []
    [waiting] = flink.operator._shards[SHARD]
    assert waiting.answer
    waiting.answer.result(timeout=20)
    written = {row[0]: row[2] for row in flink.operator.on_timer(0, flink)}  # type: ignore[arg-type]
    flink.operator.close()
    [to] = set(written) - {"agent_decisions", "workflow_state"}
    return to, json.loads(bytes.fromhex(written["agent_decisions"]))


def test_a_choice_that_is_sure_is_routed(server: Server) -> None:
    to, decision = decided(server, "--confidence=0.7", says=[("warm", 0.9)])
    assert to == "agents.warm.inbox"
    assert decision["model_call"]["confidence"] == pytest.approx(0.9)


def test_a_choice_that_is_not_sure_goes_to_a_person(server: Server) -> None:
    to, decision = decided(server, "--confidence=0.7", says=[("warm", 0.4)])
    assert to == "agent_escalations"
    assert (decision["outcome"], decision["reason_code"]) == ("abstained", "low_confidence")
    assert decision["reason"] == "the model is 0.40 sure of warm (needs 0.70): r"


def test_the_threshold_is_that_of_the_agent(server: Server) -> None:
    assert decided(server, "--confidence=0.7,warm=0.3", says=[("warm", 0.4)])[0] == "agents.warm.inbox"


def test_a_second_model_that_is_sure_decides(server: Server) -> None:
    to, decision = decided(server, "--confidence=0.7", "--second-model=strong", says=[("warm", 0.4), ("cold", 0.8)])
    assert to == "agents.cold.inbox"
    assert [each["model"] for each in server.asked] == ["cheap", "strong"]
    assert [each["choice"] for each in decision["model_call"]["opinions"]] == ["warm", "cold"]


def test_where_the_second_model_is_not_sure_either_a_person_decides(server: Server) -> None:
    to, decision = decided(server, "--confidence=0.7", "--second-model=strong", says=[("warm", 0.4), ("cold", 0.6)])
    assert (to, decision["reason_code"]) == ("agent_escalations", "low_confidence")


@pytest.mark.parametrize(("again", "to"), [("warm", "agents.warm.inbox"), ("cold", "agent_escalations")])
def test_without_log_probabilities_a_second_answer_of_the_same_model_tells(server: Server, again: str, to: str) -> None:
    found, decision = decided(server, "--confidence=0.7", says=[("warm", None), (again, None)])
    assert found == to
    assert [each["model"] for each in server.asked] == ["cheap", "cheap"]
    assert decision["model_call"]["completions"] == 2


def test_who_wants_one_answer_only_gets_no_second_one_and_its_choice_counts(server: Server) -> None:
    to, decision = decided(server, "--confidence=0.7", "--samples=1", says=[("warm", None)])
    assert (to, len(server.asked)) == ("agents.warm.inbox", 1)
    assert decision["model_call"]["confidence"] is None


def test_without_the_option_nothing_is_asked_of_how_sure_a_choice_is(server: Server) -> None:
    to, decision = decided(server, says=[("warm", 0.1)])
    assert (to, decision["model_call"]["opinions"]) == ("agents.warm.inbox", [])
    assert "logprobs" not in server.asked[0]
