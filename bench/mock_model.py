"""An OpenAI-compatible chat server for measuring: a set latency, a stable answer, next to no processor time.

    python -m bench.mock_model --port 9000 --workers 2 --counters FILE

How it behaves stands in the path, as in `/l200/v1/chat/completions`, and in the name of a message's run, which wins: a
system need not be started anew for another load. The words, with `z` between them in a run's name:

- `l200`: answers take 200 ms;
- `tail2s2000`: 2 % of the messages, always the same ones, take 2000 ms;
- `one50s30000`: message 50 takes 30 s;
- `faults`: 10 % of calls get 429 with `Retry-After: 1`, 5 % get 500, 1 % are never answered; for 0.5 % of the
  messages the answer is no JSON.

The agent it names is a stable hash of the message's id over the schema's enum. `GET /counters` tells calls, tokens,
and the most calls that were in flight at once; `POST /counters` begins that peak anew, `POST /down/N` refuses all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import mmap
import os
import random
import re
import struct
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final, cast
from zlib import crc32

from bench.messages import ID, chosen

COUNTED: Final = ("calls", "in_flight", "prompt_tokens", "output_tokens", "refused", "peak", "down_until_ms")
OUTPUT_TOKENS: Final = 12
_ROW: Final = struct.Struct(f"{len(COUNTED)}q")
_LENGTH: Final = re.compile(rb"content-length:\s*(\d+)", re.IGNORECASE)
_ENUM: Final = re.compile(rb'enum\\*"\s*:\s*\[([^\]]*)\]')
_NAME: Final = re.compile(rb"[a-z][a-z0-9_]*")


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What a path asks for; times in seconds, shares in per cent."""

    latency_s: float = 0.0
    tail_percent: float = 0.0
    tail_s: float = 0.0
    slow_number: int = -1
    slow_s: float = 0.0
    fails: bool = False

    def wait_s(self, run_and_number: bytes, number: int) -> float:
        """How long the answer to a message takes."""
        if number == self.slow_number:
            return self.slow_s
        # Another hash than the agent's, so that slow messages are not those of one agent.
        is_slow = crc32(b"tail" + run_and_number) % 10_000 < self.tail_percent * 100
        return self.tail_s if is_slow else self.latency_s


@lru_cache(maxsize=256)
def behaviour(path: bytes, run: bytes) -> Behaviour:
    """Read a path and a run's name; words that mean nothing are passed over."""
    told: dict[str, float | int | bool] = {}
    for word in (*path.decode().split("/"), *run.decode().split("z")):
        if word == "faults":
            told["fails"] = True
        elif match := re.fullmatch(r"l(\d+)", word):
            told["latency_s"] = int(match[1]) / 1000
        elif match := re.fullmatch(r"tail(\d+)s(\d+)", word):
            told |= {"tail_percent": int(match[1]), "tail_s": int(match[2]) / 1000}
        elif match := re.fullmatch(r"one(\d+)s(\d+)", word):
            told |= {"slow_number": int(match[1]), "slow_s": int(match[2]) / 1000}
    return Behaviour(**told)  # type: ignore[arg-type]


@lru_cache(maxsize=256)
def agents_in(enum: bytes) -> list[bytes]:
    """Names in a schema's enum, sorted, the one for nobody left out."""
    return sorted(name for name in _NAME.findall(enum) if name != b"none")


class Counters:
    """Figures that all worker processes share; each writes its own row only.

    Args:
        file: the file that they share.
        workers: how many there are.
        own: the row that this process writes.
    """

    def __init__(self, file: Path, workers: int, own: int) -> None:
        with file.open("r+b") as handle:
            self._map = mmap.mmap(handle.fileno(), workers * _ROW.size)
        self._workers = workers
        self._own = own
        self._row = [0] * len(COUNTED)

    def begin(self, prompt_tokens: int) -> None:
        """A call has come."""
        self._row[0] += 1
        self._row[1] += 1
        self._row[2] += prompt_tokens
        self._write()
        self._row[5] = max(self._row[5], sum(row[1] for row in self._rows()))

    def end(self, *, output_tokens: int = 0, refused: bool = False) -> None:
        """A call has gone."""
        self._row[1] -= 1
        self._row[3] += output_tokens
        self._row[4] += refused
        self._write()

    def forget_peak(self) -> None:
        """Begin the peak of this worker anew."""
        self._row[5] = 0
        self._write()

    def be_down(self, seconds: float) -> None:
        """Refuse every call for `seconds`, in all workers."""
        self._row[6] = int((time.time() + seconds) * 1000)
        self._write()

    def is_down(self) -> bool:
        """Whether calls are to be refused now."""
        until_ms = max(row[6] for row in self._rows())
        return until_ms > 0 and until_ms > time.time() * 1000

    def total(self) -> dict[str, int]:
        """Sums over the workers; of peaks and times the largest."""
        rows = self._rows()
        sums = {name: sum(column) for name, column in zip(COUNTED, zip(*rows, strict=True), strict=True)}
        return {**sums, "peak": max(row[5] for row in rows), "down_until_ms": max(row[6] for row in rows)}

    def _rows(self) -> list[tuple[int, ...]]:
        return [_ROW.unpack_from(self._map, number * _ROW.size) for number in range(self._workers)]

    def _write(self) -> None:
        _ROW.pack_into(self._map, self._own * _ROW.size, *self._row)


class Server(asyncio.Protocol):
    """One connection: HTTP/1.1 with keep-alive, one request at a time.

    Args:
        counters: where calls are counted.
        dice: all chance of this worker.
    """

    def __init__(self, counters: Counters, dice: random.Random) -> None:
        self._counters = counters
        self._dice = dice
        self._received = bytearray()
        self._transport: asyncio.Transport | None = None
        self._is_asked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while request := self._request():
            self._handle(*request)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._is_asked:
            self._is_asked = False
            self._counters.end()

    def _request(self) -> tuple[bytes, bytes, bytes] | None:
        """The next whole request: method, path and body."""
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0:
            return None
        head = bytes(self._received[:head_end])
        found = _LENGTH.search(head)
        end = head_end + 4 + (int(found[1]) if found else 0)
        if len(self._received) < end:
            if b"100-continue" in head.lower() and self._transport:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            return None
        body = bytes(self._received[head_end + 4 : end])
        del self._received[:end]
        method, path, _ = head.split(b" ", 2)
        return method, path, body

    def _handle(self, method: bytes, path: bytes, body: bytes) -> None:
        if path.startswith(b"/down/"):
            self._counters.be_down(float(path.rpartition(b"/")[2]))
            self._send(b"200 OK", b"{}")
        elif not path.endswith(b"/chat/completions"):
            if method == b"POST":
                self._counters.forget_peak()
            self._send(b"200 OK", json.dumps(self._counters.total()).encode())
        else:
            self._ask(path, body)

    def _ask(self, path: bytes, body: bytes) -> None:
        tokens = len(body) // 4
        self._counters.begin(tokens)
        self._is_asked = True
        found = ID.search(body)
        own = found[0] if found else body
        how = behaviour(path, found[1] if found else b"")
        wait_s = how.wait_s(own, int(found[2]) if found else 0)
        loop = asyncio.get_running_loop()
        if self._counters.is_down():
            self._finish(b"503 Service Unavailable", b'{"error":{"message":"down"}}', b"", refused=True)
            return
        if how.fails and self._fault(loop, wait_s):
            return
        is_bad = how.fails and crc32(b"bad" + own) % 1000 < 5
        text = "I would rather not say." if is_bad else _answer(body, own)
        loop.call_later(wait_s, self._finish, b"200 OK", _completion(text, tokens))

    def _fault(self, loop: asyncio.AbstractEventLoop, wait_s: float) -> bool:
        drawn = self._dice.random()
        if drawn < 0.10:
            error = b'{"error":{"message":"slow down","type":"rate_limit_error"}}'
            loop.call_later(0.005, lambda: self._finish(b"429 Too Many Requests", error, b"Retry-After: 1\r\n", True))
        elif drawn < 0.15:
            error = b'{"error":{"message":"oops","type":"server_error"}}'
            loop.call_later(wait_s, lambda: self._finish(b"500 Internal Server Error", error, b"", True))
        return drawn < 0.16

    def _finish(self, status: bytes, body: bytes, extra: bytes = b"", refused: bool = False) -> None:
        if not self._is_asked:  # the caller has gone
            return
        self._is_asked = False
        self._counters.end(output_tokens=0 if refused else OUTPUT_TOKENS, refused=refused)
        self._send(status, body, extra)

    def _send(self, status: bytes, body: bytes, extra: bytes = b"") -> None:
        if self._transport is not None:
            head = b"HTTP/1.1 %b\r\ncontent-type: application/json\r\n%bcontent-length: %d\r\n\r\n"
            self._transport.write(head % (status, extra, len(body)) + body)


def _answer(body: bytes, own: bytes) -> str:
    enum = _ENUM.search(body)
    names = agents_in(enum[1]) if enum else []
    agent = chosen(names, own).decode() if names else "none"
    return json.dumps({"agent": agent, "reason": "a stable hash of the id"})


def _completion(text: str, tokens: int) -> bytes:
    usage = {"prompt_tokens": tokens, "completion_tokens": OUTPUT_TOKENS, "total_tokens": tokens + OUTPUT_TOKENS}
    message = {"role": "assistant", "content": text, "refusal": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    whole = {
        "id": "mock",
        "object": "chat.completion",
        "created": 0,
        "model": "mock",
        "choices": [choice],
        "usage": usage,
    }
    return json.dumps(whole).encode()


async def _serve(port: int, counters: Counters, seed: int) -> None:
    dice = random.Random(seed)  # noqa: S311 - no secret hangs on it
    server = await asyncio.get_running_loop().create_server(
        lambda: Server(counters, dice), "127.0.0.1", port, reuse_port=True, backlog=4096
    )
    parent = os.getppid()
    async with server:
        while os.getppid() == parent:  # noqa: ASYNC110 - a harness that was killed leaves nobody behind
            await asyncio.sleep(1)


def main() -> None:
    """Run all workers; the first in this process, which ends the others."""
    import uvloop

    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--counters", type=Path, required=True)
    given = parser.parse_args()
    given.counters.write_bytes(bytes(given.workers * _ROW.size))
    own = next((number for number in range(1, given.workers) if os.fork() == 0), 0)
    uvloop.run(_serve(given.port, Counters(given.counters, given.workers, own), own))


if __name__ == "__main__":
    main()
