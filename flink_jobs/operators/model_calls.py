"""Model calls beside Flink: a process of their own per TaskManager, shared by every operator in it."""

from __future__ import annotations

import logging
import os
import socket
import subprocess  # nosec B404
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from opentelemetry import trace

from flink_jobs.model_process.address import ModelAddress
from flink_jobs.model_process.wire import Answered, Ask, Retried, Stop, framed, pickled, received
from flink_jobs.operators.telling import SHARED
from pointsman.errors import ModelUnavailableError
from pointsman.models.port import ChatAnswer, ChatRequest
from pointsman.telemetry.context import headers_of
from pointsman.telemetry.metrics import Metrics, ModelCalled

_MODULE: Final = "flink_jobs.model_process"
_READ_AHEAD_BYTES: Final = 64 * 1024

_log: Final = logging.getLogger(__name__)


class ModelProcess:
    """One such process, from its start to its end. For any thread.

    Args:
        address: the model that it asks.
        metrics: hears what it counts.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, address: ModelAddress, metrics: Metrics) -> None:
        self._metrics = metrics
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._open: dict[int, Future[ChatAnswer]] = {}
        self._schema: tuple[dict[str, Any], bytes] = ({}, pickled({}))
        self._is_closed = False
        self.has_ended = False
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = _started(theirs.fileno())
        self._send(address)
        threading.Thread(target=self._read, name="model-answers", daemon=True).start()

    def submit(self, request: ChatRequest) -> Future[ChatAnswer]:
        """Start a call. Cancelling the future stops it."""
        answer: Future[ChatAnswer] = Future()
        span = trace.get_current_span()
        told = headers_of(span) if span.get_span_context().is_valid else {}
        with self._lock:
            number = next(self._numbers)
            self._open[number] = answer
            if self.has_ended or not self._send(Ask.of(number, request, self._pickled(request.schema), told)):
                self._settle(Answered(number, _gone()))
        answer.add_done_callback(partial(self._stop_if_cancelled, number))
        return answer

    def close(self) -> None:
        """Have it end, without waiting for that; calls under way are cancelled."""
        self._is_closed = True
        try:
            self._socket.shutdown(socket.SHUT_WR)
        except OSError:
            return  # it has ended already

    def _send(self, message: object) -> bool:
        try:
            self._socket.sendall(framed(message))
        except OSError:
            return False
        return True

    def _pickled(self, schema: dict[str, Any]) -> bytes:
        # Most questions of a job have the same schema, and it is the same object.
        if self._schema[0] is not schema:
            self._schema = schema, pickled(schema)
        return self._schema[1]

    def _read(self) -> None:
        try:
            with cast("BinaryIO", self._socket.makefile("rb", buffering=_READ_AHEAD_BYTES)) as stream:
                while (message := received(stream)) is not None:
                    self._heed(message)
        except OSError as error:
            _log.warning("the connection to the model process broke (%s)", type(error).__name__)
        finally:
            self._end()

    def _heed(self, message: object) -> None:
        if isinstance(message, Answered):
            self._settle(message)
        elif isinstance(message, ModelCalled):
            self._metrics.model_called(message)
        elif isinstance(message, Retried):
            self._metrics.retried(message.error_type)

    def _end(self) -> None:
        with self._lock:
            self.has_ended = True
            left = list(self._open)
        for number in left:
            self._settle(Answered(number, _gone()))
        self._socket.close()
        status = self._process.wait()
        if not self._is_closed:
            _log.error("the model process ended with %d; the next call starts another", status)

    def _settle(self, answered: Answered) -> None:
        answer = self._open.pop(answered.number, None)
        # `set_running_or_notify_cancel` is False when the operator has cancelled the call meanwhile.
        if answer is None or not answer.set_running_or_notify_cancel():
            return
        if isinstance(answered.outcome, Exception):
            answer.set_exception(answered.outcome)
        else:
            answer.set_result(answered.outcome)

    def _stop_if_cancelled(self, number: int, answer: Future[ChatAnswer]) -> None:
        if answer.cancelled() and self._open.pop(number, None) is not None:
            with self._lock:
                self._send(Stop(number))


class ModelCalls:
    """Calls to one model; a process that ended, by whatever cause, is started again with the next call.

    Args:
        start: starts the process. That takes about a second, and calls wait for it: the first one is started at once.
    """

    def __init__(self, start: Callable[[], ModelProcess]) -> None:
        self._start = start
        self._lock = threading.Lock()
        self._process = start()

    def submit(self, request: ChatRequest) -> Future[ChatAnswer]:
        """Start a call. Cancelling the future stops it.

        Raises:
            OSError: the process had ended, and another cannot be started.
        """
        with self._lock:
            if self._process.has_ended:
                self._process = self._start()
            return self._process.submit(request)

    def close(self) -> None:
        """End the process."""
        self._process.close()


class SharedModelCalls:
    """The calls of this process: operators in it share connections and the concurrency limit of a model.

    In thread mode a Python process outlives its jobs; the model processes end with the last operator.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._calls: dict[ModelAddress, ModelCalls] = {}

    def take(self, address: ModelAddress) -> ModelCalls:
        """The calls to that model, for an operator that starts and will `give_back`."""
        with self._lock:
            self._users += 1
        return self.to(address)

    def to(self, address: ModelAddress) -> ModelCalls:
        """The calls to that model, for an operator that has taken some.

        Raises:
            RuntimeError: the last operator has stopped: nobody would end what starts now.
        """
        with self._lock:
            if not self._users:
                raise RuntimeError("no operator runs")
            if address not in self._calls:
                self._calls[address] = ModelCalls(partial(ModelProcess, address, SHARED.telemetry.metrics))
            return self._calls[address]

    def give_back(self) -> None:
        """An operator stops."""
        with self._lock:
            self._users -= 1
            if self._users:
                return
            left, self._calls = self._calls, {}
        for calls in left.values():
            calls.close()


MODEL_CALLS: Final = SharedModelCalls()


def _gone() -> ModelUnavailableError:
    return ModelUnavailableError("the process that asks the model has ended")


def _started(socket_number: int) -> subprocess.Popen[bytes]:
    # A group of its own: who interrupts a TaskManager at a terminal means that one, and this one follows.
    return subprocess.Popen(  # nosec B603  # noqa: S603 (our own interpreter and arguments)
        [_python(), "-m", _MODULE, str(socket_number)],
        pass_fds=[socket_number],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        process_group=0,
    )


def _python() -> str:
    # In a JVM `sys.executable` may be empty, or the JVM.
    named = Path(sys.executable or "java")
    return str(named if named.name.startswith("python") else Path(sys.exec_prefix) / "bin" / "python3")
