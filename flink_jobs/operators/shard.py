"""What waits in one shard: first in, first out per workflow, while workflows overtake each other."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Final

from flink_jobs.operators.deciding import Concluded, Question
from flink_jobs.operators.outputs import size_of
from flink_jobs.operators.records import Arrived, place_of
from pointsman.envelope import Record
from pointsman.errors import ModelUnavailableError
from pointsman.models.port import ChatAnswer

MAX_WAITING: Final = 256
MAX_WAITING_BYTES: Final = 4 * 1024 * 1024


class Waiting:
    """A message that has arrived and whose decision has not left.

    Attributes:
        place: where it stood in its topic; the key under which state keeps it.
        workflow: what its order is kept within.
        arrived: the message.
        size: its bytes.
        question: what the model was asked; None while that has not begun or when it need not be asked.
        answer: the model's answer to come.
        asked_at: monotonic time at which the model was asked, in seconds.
        written: what to write, or what a plan makes of it, once that is known.
        failures: how often the model was not there to answer.
        failed_since: when that was first, by a clock that never goes back.
        is_given_up: the outage has lasted too long for this message; it is decided without an answer.
        notice: is told the workflow whenever the message may have become ready to leave; from any thread.
    """

    __slots__ = (
        "answer", "arrived", "asked_at", "failed_since", "failures", "is_given_up", "notice", "place", "question",
        "size", "workflow", "written",
    )  # fmt: skip

    def __init__(self, arrived: Arrived) -> None:
        self.place = place_of(arrived.record)
        self.workflow = workflow_of(arrived.record)
        self.arrived = arrived
        self.size = size_of(arrived.record)
        self.question: Question | None = None
        self.answer: Future[ChatAnswer] | None = None
        self.asked_at = 0.0
        self.written: Concluded | None = None
        self.failures = 0
        self.failed_since: float | None = None
        self.is_given_up = False
        self.notice: Callable[[bytes], None] | None = None

    @property
    def has_begun(self) -> bool:
        """Whether it was looked at since the operator started."""
        return self.written is not None or self.answer is not None

    @property
    def outage(self) -> ModelUnavailableError | TimeoutError | None:
        """Why there is no answer, when asking later may help."""
        if self.answer is None or not self.answer.done() or self.answer.cancelled():
            return None
        error = self.answer.exception()
        return error if isinstance(error, ModelUnavailableError | TimeoutError) else None

    def ask(self, question: Question, answer: Future[ChatAnswer], asked_at: float) -> None:
        """The model was asked at `asked_at`, and `answer` is to come."""
        self.question, self.answer, self.asked_at = question, answer, asked_at
        answer.add_done_callback(lambda _: self._changed())

    def decide(self, written: Concluded) -> None:
        """It is known what to write."""
        self.written = written
        self._changed()

    def give_up(self) -> None:
        """Decide without an answer."""
        self.is_given_up = True
        self._changed()

    def _changed(self) -> None:
        if self.notice is not None:
            self.notice(self.workflow)

    def forget_answer(self) -> None:
        """As if the model had not been asked yet."""
        self.question, self.answer = None, None

    def stand_in(self) -> bool:
        """Decide without the model that does not answer; False where that cannot be done."""
        written = self.question.stand_in() if self.question is not None else None
        if written is not None:
            self.decide(written)
        return self.written is not None

    def concluded(self) -> Concluded | None:
        """What to write, or what a plan makes of it; None while the model is still at it or will be asked again."""
        if self.written is None and self.question and self.answer and self.answer.done():
            if self.outage and not self.is_given_up:
                return None
            self.written = self.question.conclude(_outcome(self.answer))
        return self.written


def _may(_: Waiting) -> bool:
    return True


class Shard:
    """The messages that wait, by workflow.

    Args:
        cancelled: workflows that a person has cancelled.

    Attributes:
        cancelled: the same, for whoever adds to it.
        looks_at_ms: when the next look at it is due, in milliseconds of the clock; 0 when none is.
    """

    def __init__(self, cancelled: set[bytes] | None = None) -> None:
        self.cancelled = cancelled or set()
        self.looks_at_ms = 0
        self._queues: dict[bytes, deque[Waiting]] = {}
        self._idle: list[Waiting] = []
        self._ready: deque[bytes] = deque()  # workflows to look at; filled by the thread of the model calls, too
        self._count = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Waiting]:
        return (waiting for queue in self._queues.values() for waiting in queue)

    @property
    def is_full(self) -> bool:
        """Whether the next message must wait until one has left."""
        return self._count >= MAX_WAITING or self._bytes >= MAX_WAITING_BYTES

    @property
    def mean_size(self) -> float:
        """Bytes of a message that waits, on average."""
        return self._bytes / max(1, self._count)

    @property
    def is_settled(self) -> bool:
        """Whether all that waits here waits for answers of the model, and none of them is there yet."""
        return not self._ready and not self._idle

    def asked_at(self) -> Iterator[float]:
        """When the model was asked about what waits for it, in monotonic seconds."""
        return (waiting.asked_at for waiting in self if waiting.answer is not None and not waiting.answer.done())

    def holds(self, workflow: bytes) -> bool:
        """Whether an earlier message of `workflow` is still here."""
        return workflow in self._queues

    def add(self, waiting: Waiting) -> None:
        """Queue `waiting` behind the others of its workflow."""
        self._queues.setdefault(waiting.workflow, deque()).append(waiting)
        # First the ear, then the look: what is decided between the two is noticed twice, and never not at all.
        waiting.notice = self._ready.append
        if waiting.written is not None or (waiting.answer is not None and waiting.answer.done()):
            self._ready.append(waiting.workflow)
        if not waiting.has_begun:
            self._idle.append(waiting)
        self._count += 1
        self._bytes += waiting.size

    def take_idle(self) -> list[Waiting]:
        """Those that nobody has looked at yet, in the order in which they came; they count as looked at from now on."""
        idle, self._idle = self._idle, []
        return idle

    def put_back(self, waiting: Waiting) -> None:
        """It could not be looked at yet: `take_idle` gives it out once more."""
        self._idle.append(waiting)

    def heads(self) -> list[Waiting]:
        """The first of each workflow: those that may leave next."""
        return [queue[0] for queue in self._queues.values()]

    def leave(self, may_leave: Callable[[Waiting], bool] = _may) -> Iterator[tuple[Waiting, Concluded]]:
        """Take out what is decided and has no undecided message of its workflow before it.

        Args:
            may_leave: says of a decided message whether what it writes can be written now.
        """
        for _ in range(len(self._ready)):
            workflow = self._ready.popleft()
            queue = self._queues.get(workflow, deque())
            while queue and (concluded := queue[0].concluded()) is not None:
                if not may_leave(queue[0]):
                    self._ready.append(workflow)
                    break
                waiting = queue.popleft()
                self._count -= 1
                self._bytes -= waiting.size
                # The answer knows whom to tell, and that is this message: together they would be garbage in a circle,
                # which only a look at the whole heap finds, at a fifth of a second each.
                waiting.forget_answer()
                yield waiting, concluded
            if not queue:
                self._queues.pop(workflow, None)


def workflow_of(record: Record) -> bytes:
    """What the record's order is kept within; a record with neither workflow nor key stands alone."""
    return record.headers.get("ce_workflowid") or record.key or place_of(record).encode()


def _outcome(answer: Future[ChatAnswer]) -> ChatAnswer | Exception:
    try:
        return answer.result()
    except Exception as error:
        return error
