"""What one call learns about a model holds for all calls of the process."""

from __future__ import annotations

import asyncio

import pytest

from pointsman.errors import ConfigurationError, ModelAnswerError, ModelBusyError, ModelUnavailableError
from pointsman.models.access import AccessOptions, ModelAccess


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def access(clock: Clock, **options: float) -> ModelAccess:
    return ModelAccess("m", AccessOptions(**options), clock)  # type: ignore[arg-type]


async def attempt(way: ModelAccess, error: BaseException | None = None, priority: int = 5) -> None:
    async with way.attempt(priority):
        if error:
            raise error


async def fail(way: ModelAccess, times: int, error: Exception | None = None) -> None:
    for _ in range(times):
        with pytest.raises(type(error or ModelUnavailableError(""))):
            await attempt(way, error or ModelUnavailableError("down"))


async def test_after_five_failures_nobody_asks_and_the_error_says_how_long(clock: Clock) -> None:
    way = access(clock)
    await fail(way, 5)
    clock.now += 10
    with pytest.raises(ModelUnavailableError, match="left alone") as caught:
        await attempt(way)
    assert caught.value.retry_after_s == 20
    assert way.is_broken


async def test_the_first_success_after_the_time_lets_everybody_in_again(clock: Clock) -> None:
    way = access(clock)
    await fail(way, 5)
    clock.now += 30
    await attempt(way)
    await asyncio.gather(*(attempt(way) for _ in range(10)))
    assert not way.is_broken


async def test_while_one_tries_the_others_are_refused_and_its_failure_counts_for_all(clock: Clock) -> None:
    way = access(clock)
    await fail(way, 5)
    clock.now += 30
    others: list[str] = []

    async def first() -> None:
        async with way.attempt(5):
            with pytest.raises(ModelUnavailableError) as refused:
                await attempt(way)
            others.append(str(refused.value))
            raise ModelUnavailableError("down")

    with pytest.raises(ModelUnavailableError, match="down"):
        await first()
    assert "left alone" in others[0]
    with pytest.raises(ModelUnavailableError) as caught:
        await attempt(way)
    assert caught.value.retry_after_s == 30


@pytest.mark.parametrize("error", [ModelAnswerError("no"), ConfigurationError("key")])
async def test_an_answer_of_no_use_is_an_answer_all_the_same(clock: Clock, error: Exception) -> None:
    way = access(clock)
    for _ in range(3):
        await fail(way, 4)
        await fail(way, 1, error)
    assert not way.is_broken


async def test_a_call_that_is_cancelled_says_nothing_about_the_model(clock: Clock) -> None:
    way = access(clock)
    await fail(way, 4)
    with pytest.raises(asyncio.CancelledError):
        await attempt(way, asyncio.CancelledError())
    await fail(way, 1)
    assert way.is_broken


async def test_those_that_waited_for_a_slot_while_it_broke_do_not_ask_either(clock: Clock) -> None:
    way = access(clock, concurrency=1, breaker_failures=1)

    async def first() -> None:
        async with way.attempt(5):
            await asyncio.sleep(0)
            raise ModelUnavailableError("down")

    outcomes = await asyncio.gather(first(), attempt(way), attempt(way), return_exceptions=True)
    assert [str(each)[:4] for each in outcomes] == ["down", "the ", "the "]


async def test_a_pause_that_the_server_asked_for_holds_for_all_and_breaks_nothing(clock: Clock) -> None:
    way = access(clock, patience_s=1)
    await fail(way, 9, ModelBusyError("429", 0.05))
    began = asyncio.get_running_loop().time()
    order: list[int] = []

    async def call(priority: int) -> None:
        async with way.attempt(priority):
            assert asyncio.get_running_loop().time() - began >= 0.04
            order.append(priority)

    await asyncio.gather(*(call(priority) for priority in (1, 9, 5)))
    assert order == [9, 5, 1]
    assert not way.is_broken


async def test_a_server_that_is_down_is_left_alone_also_when_it_says_until_when(clock: Clock) -> None:
    way = access(clock, patience_s=1)
    await fail(way, 5, ModelUnavailableError("503", 0.001))
    assert way.is_broken


async def test_too_many_requests_without_a_time_count_as_failures(clock: Clock) -> None:
    way = access(clock)
    await fail(way, 5, ModelBusyError("429"))
    assert way.is_broken


async def test_a_pause_longer_than_the_patience_is_refused_at_once_also_to_those_who_wait(clock: Clock) -> None:
    way = access(clock, patience_s=10, concurrency=1)

    async def first() -> None:
        async with way.attempt(5):
            await asyncio.sleep(0)
            raise ModelUnavailableError("429", 60)

    outcomes = await asyncio.gather(first(), attempt(way), return_exceptions=True)
    assert isinstance(outcomes[1], ModelUnavailableError)
    with pytest.raises(ModelUnavailableError, match="pause") as caught:
        await attempt(way)
    for error in (outcomes[1], caught.value):
        assert error.retry_after_s == pytest.approx(60, abs=1)
