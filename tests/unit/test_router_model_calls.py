"""The operator's side of the model process: a real one, asking a real server."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import psutil
import pytest

from flink_jobs.model_process.address import ModelAddress
from flink_jobs.operators.model_calls import ModelCalls, ModelProcess, SharedModelCalls
from pointsman.errors import ModelUnavailableError, PointsmanError
from pointsman.models.offline.faults import FaultPlan, Faults
from pointsman.models.offline.server import start
from pointsman.models.port import ChatAnswer, ChatRequest
from pointsman.telemetry.metrics import Metrics

SCHEMA = {
    "type": "object",
    "properties": {"mood": {"type": "string", "enum": ["good", "bad"]}},
    "required": ["mood"],
    "additionalProperties": False,
}
MODULE = "flink_jobs.model_process"
QUESTION = ChatRequest(system="Say the mood.", user='{"text": "x"}', schema=SCHEMA)


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
async def address(faults: Faults) -> AsyncIterator[ModelAddress]:
    runner, port = await start("127.0.0.1", 0, faults)
    yield ModelAddress(base_url=f"http://127.0.0.1:{port}/v1", model="m")
    await runner.cleanup()


@contextmanager
def calls_to(address: ModelAddress, metrics: Metrics | None = None) -> Iterator[ModelCalls]:
    counted = metrics or Metrics()
    calls = ModelCalls(lambda: ModelProcess(address, counted))
    try:
        yield calls
    finally:
        calls.close()


async def answered(calls: ModelCalls) -> object:
    return await asyncio.wait_for(asyncio.wrap_future(calls.submit(QUESTION)), 20)


def processes() -> list[psutil.Process]:
    """The model processes of this one."""
    return [one for one in psutil.Process().children(recursive=True) if MODULE in _command(one)]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has just ended
        return []


async def until(probe: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not probe():  # noqa: ASYNC110 - another process: there is nothing to wait on
            await asyncio.sleep(0.01)


async def test_answers_come_from_another_process_and_are_counted_in_this_one(address: ModelAddress) -> None:
    metrics = Metrics()
    with calls_to(address, metrics) as calls:
        found = await answered(calls)
        assert isinstance(found, ChatAnswer)
        assert found.content["mood"] in {"good", "bad"}
        attempts = {"model": "m"}
        await until(lambda: metrics.registry.get_sample_value("pointsman_model_attempts_total", attempts) == 1)


async def test_a_failure_and_its_retries_come_back_as_they_are(address: ModelAddress, faults: Faults) -> None:
    faults.plan(FaultPlan(fail_next=100, status=503))
    metrics = Metrics()
    with calls_to(address, metrics) as calls:
        with pytest.raises(ModelUnavailableError):
            await answered(calls)
        retried = {"error_type": "ModelUnavailableError"}
        assert metrics.registry.get_sample_value("pointsman_retries_total", retried) == 2


async def test_a_model_that_is_not_named_rightly_is_a_clear_error_of_the_call() -> None:
    with calls_to(ModelAddress(base_url="nowhere")) as calls, pytest.raises(PointsmanError):
        await answered(calls)


async def test_a_cancelled_answer_stops_its_call(address: ModelAddress, faults: Faults) -> None:
    faults.plan(FaultPlan(hang_next=1))
    with calls_to(address) as calls:
        answer = calls.submit(QUESTION)
        await until(lambda: faults.in_flight == 1)
        answer.cancel()
        await until(lambda: faults.in_flight == 0)


async def test_a_model_process_that_dies_fails_its_calls_and_the_next_call_starts_another(
    address: ModelAddress, faults: Faults
) -> None:
    faults.plan(FaultPlan(hang_next=1))
    with calls_to(address) as calls:
        lost = calls.submit(QUESTION)
        await until(lambda: faults.in_flight == 1)
        [process] = processes()
        process.kill()
        with pytest.raises(ModelUnavailableError):
            await asyncio.wait_for(asyncio.wrap_future(lost), 20)
        assert isinstance(await answered(calls), ChatAnswer)
    await until(lambda: not processes())


async def test_the_model_processes_end_with_the_last_operator(address: ModelAddress) -> None:
    shared = SharedModelCalls()
    assert shared.take(address) is shared.take(address)
    shared.to(replace(address, is_shadow=True))
    assert len(processes()) == 2
    shared.give_back()
    assert len(processes()) == 2
    shared.give_back()
    await until(lambda: not processes())
    with pytest.raises(RuntimeError):
        shared.to(address)


def test_a_model_process_ends_when_its_operators_process_is_killed() -> None:
    program = (
        "import time\n"
        "from flink_jobs.model_process.address import ModelAddress\n"
        "from flink_jobs.operators.model_calls import ModelProcess\n"
        "from pointsman.telemetry.metrics import Metrics\n"
        "ModelProcess(ModelAddress(), Metrics())\n"
        "print('up', flush=True)\n"
        "time.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as operator:
        try:
            assert operator.stdout is not None
            assert operator.stdout.readline() == b"up\n"
            [process] = processes()
        finally:
            operator.kill()
    process.wait(20)
