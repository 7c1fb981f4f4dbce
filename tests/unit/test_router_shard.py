"""First in, first out per workflow; workflows overtake each other."""

import gc
import random
import sys
import weakref
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue

import pytest

from flink_jobs.operators.deciding import Answer, Question
from flink_jobs.operators.records import Arrived
from flink_jobs.operators.shard import MAX_WAITING, MAX_WAITING_BYTES, Shard, Waiting, workflow_of
from pointsman.envelope import Record
from pointsman.errors import ModelAnswerError, ModelUnavailableError
from pointsman.models.port import ChatAnswer, ChatRequest

ANSWER = ChatAnswer(content={}, raw="", model="m", input_tokens=0, output_tokens=0, latency_ms=0)


def message(workflow: str, offset: int, value: bytes = b"{}") -> Waiting:
    headers = {"ce_workflowid": workflow.encode()}
    return Waiting(Arrived(Record(topic="t", key=b"k", value=value, headers=headers, partition=0, offset=offset), 1))


def asked(workflow: str, offset: int, call: Future[ChatAnswer] | None = None) -> Waiting:
    waiting = message(workflow, offset)
    name = f"{workflow}{offset}"

    def conclude(answer: Answer) -> list[Record]:
        topic = type(answer).__name__ if isinstance(answer, Exception) else name
        return [Record(topic=topic, key=None, value=None, headers={})]

    question = Question(request=ChatRequest(system="", user="", schema={}), conclude=conclude, stand_in=lambda: None)
    waiting.ask(question, call or Future(), asked_at=0.0)
    return waiting


@pytest.fixture
def _threads_that_take_turns_at_any_moment() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def leaving(shard: Shard) -> list[str]:
    return [record.topic for _, left in shard.leave() if isinstance(left, list) for record in left]


def answer(waiting: Waiting) -> None:
    assert waiting.answer
    waiting.answer.set_result(ANSWER)


def answer_out_of_order(asked_for: SimpleQueue[Waiting | None]) -> None:
    """Answer each, one of the latest sixteen at a time, until there is None."""
    dice, open_calls = random.Random(0), list[Waiting]()  # noqa: S311 - no secret hangs on it
    while (waiting := asked_for.get()) is not None:
        open_calls.append(waiting)
        if len(open_calls) == 16:
            answer(open_calls.pop(dice.randrange(16)))
    dice.shuffle(open_calls)
    for waiting in open_calls:
        answer(waiting)


def test_an_answered_message_waits_for_the_one_before_it_in_its_workflow() -> None:
    shard, first, second = Shard(), asked("a", 1), asked("a", 2)
    shard.add(first)
    shard.add(second)

    answer(second)
    assert leaving(shard) == []

    answer(first)
    assert leaving(shard) == ["a1", "a2"]
    assert not shard


@pytest.mark.usefixtures("_threads_that_take_turns_at_any_moment")
def test_what_another_thread_answers_while_messages_leave_leaves_once_and_in_its_order() -> None:
    # Of two messages each: another one of its workflow would let go what was overlooked.
    shard, asked_for, left = Shard(), SimpleQueue[Waiting | None](), list[str]()
    with ThreadPoolExecutor(1) as threads:
        answered = threads.submit(answer_out_of_order, asked_for)
        for number in range(10_000):
            waiting = asked(f"w{number // 2}:", number % 2)
            asked_for.put(waiting)
            shard.add(waiting)
            left += leaving(shard)
        asked_for.put(None)
        while not answered.done():
            left += leaving(shard)
        answered.result()
    left += leaving(shard)
    assert not shard
    assert sorted(left) == sorted(f"w{number // 2}:{number % 2}" for number in range(10_000))
    place = {name: at for at, name in enumerate(left)}
    assert all(place[f"w{number}:0"] < place[f"w{number}:1"] for number in range(5_000))


def test_an_answer_that_comes_while_its_message_is_added_is_seen() -> None:
    class AnsweredAfterTheFirstLook(Future[ChatAnswer]):
        def done(self) -> bool:
            is_done = super().done()
            if not is_done:
                with ThreadPoolExecutor(1) as threads:
                    threads.submit(self.set_result, ANSWER).result()
            return is_done

    shard = Shard()
    shard.add(asked("a", 1, AnsweredAfterTheFirstLook()))
    assert leaving(shard) == ["a1"]


def test_a_message_that_has_left_is_gone_without_a_look_at_the_heap() -> None:
    shard, first = Shard(), asked("a", 1)
    shard.add(first)
    answer(first)
    assert first.answer
    left = weakref.ref(first.answer)
    del first

    gc.disable()
    try:
        assert leaving(shard) == ["a1"]
        assert left() is None
    finally:
        gc.enable()


def test_another_workflow_overtakes() -> None:
    shard, slow, quick = Shard(), asked("a", 1), asked("b", 2)
    shard.add(slow)
    shard.add(quick)
    answer(quick)

    assert leaving(shard) == ["b2"]
    assert shard.holds(b"a")
    assert not shard.holds(b"b")


def test_a_failed_call_leaves_as_the_decision_on_its_failure() -> None:
    shard, waiting = Shard(), asked("a", 1)
    shard.add(waiting)
    assert waiting.answer
    waiting.answer.set_exception(ModelAnswerError("rubbish"))

    assert leaving(shard) == ["ModelAnswerError"]


def test_a_message_that_no_model_was_there_for_stays_until_it_is_given_up() -> None:
    shard, waiting, next_one = Shard(), asked("a", 1), asked("a", 2)
    shard.add(waiting)
    shard.add(next_one)
    answer(next_one)
    assert waiting.answer
    waiting.answer.set_exception(ModelUnavailableError("down"))

    assert leaving(shard) == []
    waiting.give_up()
    assert leaving(shard) == ["ModelUnavailableError", "a2"]


def test_a_cancelled_call_leaves_as_a_failure_too() -> None:
    shard, waiting = Shard(), asked("a", 1)
    shard.add(waiting)
    assert waiting.answer
    waiting.answer.cancel()

    assert leaving(shard) == ["CancelledError"]


def test_what_nobody_has_looked_at_is_given_out_once_and_in_order() -> None:
    shard, waitings = Shard(), [message("a", 1), message("b", 2), message("a", 3)]
    for waiting in waitings:
        shard.add(waiting)

    assert shard.take_idle() == waitings
    assert shard.take_idle() == []


def test_a_shard_is_full_by_number_and_has_room_again_when_one_has_left() -> None:
    shard, waitings = Shard(), [asked(f"w{number}", number) for number in range(MAX_WAITING)]
    for waiting in waitings:
        assert not shard.is_full
        shard.add(waiting)
    assert shard.is_full

    answer(waitings[5])
    assert leaving(shard) == ["w55"]
    assert not shard.is_full


def test_a_shard_is_full_by_bytes() -> None:
    shard = Shard()
    shard.add(message("a", 1, b"x" * MAX_WAITING_BYTES))

    assert shard.is_full


def test_a_record_without_workflow_is_ordered_by_its_key_and_without_key_stands_alone() -> None:
    def workflow(key: bytes | None, offset: int) -> bytes:
        return workflow_of(Record(topic="t", key=key, value=None, headers={}, offset=offset, partition=0))

    assert workflow(b"k", 1) == workflow(b"k", 2) == b"k"
    assert workflow(None, 1) != workflow(None, 2)
