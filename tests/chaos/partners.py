"""The world outside the system: a mail server and a model that fail on demand, and count what reached them."""

from __future__ import annotations

import asyncio
import email
import email.policy
import hashlib
import json
import random
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Final, TypeVar

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from pointsman.models.offline.faults import Faults
from pointsman.models.offline.server import application

T = TypeVar("T")
HOST: Final = "127.0.0.1"
LONGER_THAN_ANY_TIMEOUT_S: Final = 40
_OK: Final = "250 2.0.0 taken"
REFUSALS: Final = {
    "421": "421 4.3.2 closing", "450": "450 4.2.1 mailbox busy", "451": "451 4.3.0 try later",
    "550": "550 5.1.1 no such mailbox", "552": "552 5.3.4 too much mail",
}  # fmt: skip
_AT_RECIPIENT: Final = frozenset({"421", "450", "550"})


@dataclass
class MailServer:
    """Takes mails, and does to single recipients what a test has planned for them.

    Attributes:
        mails: every mail for which the whole text came in and which it took, also when nobody heard the answer.
        recipients: whom the envelopes of these mails named.
        plan: faults per recipient, used up one by one.
        done: faults that happened, by kind.
        slow_s: seconds between a mail's last byte and the answer, at most; each mail's are random.
        dice: decides them.
        unanswered: mails for which an answer is due after that time.
    """

    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    plan: dict[str, list[str]] = field(default_factory=dict)
    done: Counter[str] = field(default_factory=Counter)
    slow_s: float = 0.0
    dice: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - no secret hangs on it
    unanswered: int = 0
    _addresses: list[str] = field(default_factory=list)

    def to(self, address: str) -> list[EmailMessage]:
        """Mails that name `address`; each mail's header is parsed once, since a soak asks this for thousands."""
        mails = list(self.mails)
        self._addresses += [str(mail["To"]).lower() for mail in mails[len(self._addresses) :]]
        return [mail for mail, named in zip(mails, self._addresses, strict=False) if named == address.lower()]

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, _: list[str]) -> str:
        kind = self._next(address, lambda planned: planned in _AT_RECIPIENT or planned == "drop before data")
        if kind in REFUSALS:
            return REFUSALS[kind]
        if kind:
            _hang_up(server)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 good"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        kind = self._next(envelope.rcpt_tos[0], lambda _: True)
        if kind in REFUSALS:
            return REFUSALS[kind]
        self.mails.append(email.message_from_bytes(envelope.original_content or b"", policy=email.policy.default))
        self.recipients += envelope.rcpt_tos
        if kind == "drop after data":
            _hang_up(server)
        if kind == "hang after data":
            await asyncio.sleep(LONGER_THAN_ANY_TIMEOUT_S)
        await self._take_time()
        return _OK

    async def _take_time(self) -> None:
        self.unanswered += 1
        try:
            await asyncio.sleep(self.dice.uniform(0, self.slow_s))
        finally:
            self.unanswered -= 1

    def _next(self, recipient: str, is_due: Callable[[str], bool]) -> str:
        planned = self.plan.get(recipient, [])
        if not planned or not is_due(planned[0]):
            return ""
        self.done[planned[0]] += 1
        return planned.pop(0)


def _hang_up(server: SMTP) -> None:
    """The connection ends without a word."""
    assert isinstance(server.transport, asyncio.Transport)
    server.transport.abort()


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call to the model.

    Attributes:
        began: monotonic time at which it came, in seconds.
        ended: when it was answered.
        asker: tells apart who asks what: the same for the same system turn, and so within one process.
        status: HTTP status of the answer.
    """

    began: float
    ended: float
    asker: str
    status: int


@dataclass
class Model:
    """The offline model, with answers that a test may replace.

    Attributes:
        faults: what the offline model itself can be told to do wrong.
        say: turns a good answer, and the question it answers, into another answer; None leaves it.
        twisted: answers that were replaced.
        calls: every call that was answered.
    """

    faults: Faults = field(default_factory=Faults)
    say: Callable[[dict[str, Any], dict[str, Any]], object] | None = None
    twisted: int = 0
    calls: list[Call] = field(default_factory=list)

    def behave(self) -> None:
        """No more faults from here on."""
        self.say = None
        faults = self.faults
        faults.latency_ms, faults.fail_rate, faults.retry_after_s = 100.0, 0.0, 0.0
        faults.fail_next = faults.garbage_next = faults.hang_next = faults.refuse_next = 0

    def application(self) -> web.Application:
        app = application(self.faults)

        @web.middleware
        async def twist(
            request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
        ) -> web.StreamResponse:
            if not request.path.endswith("/chat/completions"):
                return await handler(request)
            asked, began = json.loads(await request.read()), time.monotonic()
            response = await handler(request)
            call = Call(began=began, ended=time.monotonic(), asker=_asker(asked), status=response.status)
            self.calls.append(call)
            return self._twisted(response, asked)

        app.middlewares.append(twist)
        return app

    def _twisted(self, response: web.StreamResponse, asked: dict[str, Any]) -> web.StreamResponse:
        if self.say is None or response.status != 200 or not isinstance(response, web.Response):
            return response
        body = json.loads(bytes(response.body))  # type: ignore[arg-type]
        message = body["choices"][0]["message"]
        try:
            answer = self.say(json.loads(message["content"]), asked)
        except ValueError:
            return response
        if answer is None:
            return response
        self.twisted += 1
        message["content"] = answer if isinstance(answer, str) else json.dumps(answer)
        return web.json_response(body)


def _asker(asked: dict[str, Any]) -> str:
    return hashlib.sha256(str(asked["messages"][0]["content"]).encode()).hexdigest()[:12]


class Partners:
    """Runs both on ports that the machine chose, on a thread of their own, until `close`."""

    def __init__(self) -> None:
        self.mail = MailServer()
        self.model = Model()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="partners", daemon=True)
        self._thread.start()
        self._server = self._wait_for(self._listen())
        self.smtp_port: int = self._server.sockets[0].getsockname()[1]
        self._runner, self.model_port = self._wait_for(self._serve(0))

    def close(self) -> None:
        self._server.close()
        self._wait_for(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)

    def stop_model(self) -> None:
        """Nobody listens where the model was."""
        self._wait_for(self._runner.cleanup())

    def start_model(self) -> None:
        """The model is back at the same address."""
        self._runner, _ = self._wait_for(self._serve(self.model_port))

    def environment(self) -> dict[str, str]:
        """What tells a stack of the two."""
        return {
            "OPENAI_BASE_URL": f"http://{HOST}:{self.model_port}/v1",
            "POINTSMAN_SMTP_HOST": HOST,
            "POINTSMAN_SMTP_PORT": str(self.smtp_port),
            "POINTSMAN_SMTP_SECURITY": "none",
            "POINTSMAN_MAIL_ALLOW": '["*"]',
            "POINTSMAN_MAIL_DAILY_CAP": "1000000",
        }

    async def _listen(self) -> asyncio.Server:
        return await self._loop.create_server(lambda: SMTP(self.mail, hostname="chaos.example"), HOST, 0)

    async def _serve(self, port: int) -> tuple[web.AppRunner, int]:
        runner = web.AppRunner(self.model.application(), access_log=None, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, HOST, port, backlog=1024).start()
        return runner, int(runner.addresses[0][1])

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)
