"""What a try to send tells: taken, refused for good, surely not taken, or nobody knows."""

from __future__ import annotations

import asyncio
import email
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from pydantic import SecretStr

from pointsman.errors import ConfigurationError, EffectUnavailableError
from pointsman.mail import Delivery, Outcome, SmtpMailer
from pointsman.settings import Settings

Start = Callable[..., Awaitable[int]]


class Mailbox:
    """Takes mails, or answers as a test wants."""

    def __init__(self, **replies: str) -> None:
        self.replies = replies
        self.contents: list[bytes] = []
        self.recipients: list[str] = []

    async def handle_MAIL(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:
        envelope.mail_from = address
        return self.replies.get("mail", "250 OK")

    async def handle_RCPT(self, _: SMTP, __: Session, envelope: Envelope, address: str, ___: list[str]) -> str:
        self.recipients.append(address)
        envelope.rcpt_tos.append(address)
        return self.replies.get("rcpt", "250 OK")

    async def handle_DATA(self, server: SMTP, _: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.contents.append(envelope.content)
        if self.replies.get("data") == "drop":
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        return self.replies.get("data", "250 OK")


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """Start a mail server on loopback with a handler; gives its port."""
    servers: list[asyncio.Server] = []

    async def begin(handler: Any, *, implicit_tls: ssl.SSLContext | None = None, **options: Any) -> int:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: SMTP(handler, hostname="mail.test", loop=loop, **options), "127.0.0.1", 0, ssl=implicit_tls
        )
        servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    yield begin
    for server in servers:
        server.close()


def mail(**headers: str) -> EmailMessage:
    message = EmailMessage()
    message["From"] = "Alex Kim <alex.kim@sdr.example>"
    message["To"] = "mara@nordhafen.example"
    message["Subject"] = "Lagerübersicht für fünf Standorte: eine Frage zu den Wartezeiten an der Rampe und im Büro"
    for name, value in headers.items():
        message[name.replace("_", "-")] = value
    message.set_content("Grüße\n.\nfrom Alex\n")
    return message


async def send(port: int, message: EmailMessage | None = None, **options: Any) -> Delivery:
    mailer = SmtpMailer(**{"host": "127.0.0.1", "port": port, "security": "none", "timeout_s": 5.0, **options})
    return await mailer.send(message or mail(), sender="alex.kim@sdr.example", recipient="mara@nordhafen.example")


async def test_a_mail_arrives_as_it_was_written(start: Start) -> None:
    box = Mailbox()

    delivery = await send(await start(box))

    assert delivery == Delivery(outcome=Outcome.SENT, code=250)
    assert box.recipients == ["mara@nordhafen.example"]
    received = email.message_from_bytes(box.contents[0], policy=default)
    assert received["Subject"] == mail()["Subject"]
    assert received.get_content().replace("\r\n", "\n") == "Grüße\n.\nfrom Alex\n"


async def test_a_long_unsubscribe_link_stays_whole(start: Start) -> None:
    box = Mailbox()
    link = f"<https://sdr.example/unsubscribe/{'aB3_-.' * 30}>"

    await send(await start(box), mail(List_Unsubscribe=link))

    assert f"List-Unsubscribe: {link}\r\n".encode() in box.contents[0]


@pytest.mark.parametrize("place", ["mail", "rcpt", "data"])
async def test_refused_for_now_is_surely_not_taken(start: Start, place: str) -> None:
    port = await start(Mailbox(**{place: "451 later"}))

    with pytest.raises(EffectUnavailableError, match="451"):
        await send(port)


@pytest.mark.parametrize(("place", "is_bounce"), [("mail", False), ("rcpt", True), ("data", False)])
async def test_refused_for_good_is_rejected(start: Start, place: str, is_bounce: bool) -> None:
    delivery = await send(await start(Mailbox(**{place: "550 no"})))

    assert delivery == Delivery(outcome=Outcome.REJECTED, code=550, is_recipient_refused=is_bounce)


async def test_an_answer_lost_after_the_text_is_unknown(start: Start) -> None:
    box = Mailbox(data="drop")

    assert (await send(await start(box))).outcome == Outcome.UNKNOWN
    assert len(box.contents) == 1


async def test_a_server_that_falls_silent_after_the_text_is_unknown(start: Start) -> None:
    class Silent(Mailbox):
        async def handle_DATA(self, *_: Any) -> str:
            await asyncio.Event().wait()
            return ""

    assert (await send(await start(Silent()), timeout_s=0.2)).outcome == Outcome.UNKNOWN


async def test_no_server_is_surely_not_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(EffectUnavailableError, match="no connection"):
            await send(taken.getsockname()[1])


async def test_a_server_that_does_not_greet_is_surely_not_taken() -> None:
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
    async with server:
        with pytest.raises(EffectUnavailableError):
            await send(server.sockets[0].getsockname()[1], timeout_s=0.5)


async def test_a_server_that_serves_nobody_is_tried_again() -> None:
    async def refuse(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"554 no service\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        with pytest.raises(EffectUnavailableError, match="554"):
            await send(server.sockets[0].getsockname()[1])


async def test_starttls_is_never_given_up_for_plain_text(start: Start) -> None:
    box = Mailbox()

    with pytest.raises(ConfigurationError, match="POINTSMAN_SMTP_SECURITY"):
        await send(await start(box), security="starttls")

    assert box.contents == []


async def test_starttls_and_login_work(start: Start, certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    served, trusted = certificate
    box = Mailbox()
    port = await start(box, tls_context=served, authenticator=login, auth_required=True, require_starttls=True)

    delivery = await send(
        port, security="starttls", host="localhost", tls_context=trusted, username="alex", password=SecretStr("right")
    )

    assert delivery.outcome == Outcome.SENT


async def test_tls_from_the_first_byte_works(start: Start, certificate: tuple[ssl.SSLContext, ssl.SSLContext]) -> None:
    served, trusted = certificate
    box = Mailbox()
    port = await start(box, implicit_tls=served)

    assert (await send(port, security="tls", host="localhost", tls_context=trusted)).outcome == Outcome.SENT


async def test_a_certificate_that_nobody_signed_is_refused(
    start: Start, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    served, _ = certificate
    box = Mailbox()
    port = await start(box, tls_context=served)

    with pytest.raises(EffectUnavailableError):
        await send(port, security="starttls", host="localhost")

    assert box.contents == []


async def test_a_wrong_password_is_a_matter_of_configuration_and_is_not_told(
    start: Start, certificate: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    served, trusted = certificate
    port = await start(Mailbox(), tls_context=served, authenticator=login, auth_required=True)

    wrong: dict[str, Any] = {"username": "alex", "password": SecretStr("wr0ng")}

    with pytest.raises(ConfigurationError, match="POINTSMAN_SMTP_PASSWORD") as caught:
        await send(port, security="starttls", host="localhost", tls_context=trusted, **wrong)

    assert "wr0ng" not in str(caught.value)


def test_the_mailer_is_what_the_settings_describe() -> None:
    mailer = SmtpMailer.of(Settings(smtp_host="mail.site.example", smtp_port=465, smtp_security="tls"))

    assert (mailer.host, mailer.port, mailer.security, mailer.helo_name) == (
        "mail.site.example", 465, "tls", "sdr.example",
    )  # fmt: skip


def login(_: SMTP, __: Session, ___: Envelope, ____: str, data: object) -> AuthResult:
    assert isinstance(data, LoginPassword)
    return AuthResult(success=data == LoginPassword(b"alex", b"right"), handled=False)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's TLS context for `localhost`, and a client's that trusts it."""
    folder: Path = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )  # fmt: skip
    served = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    served.load_cert_chain(cert, key)
    return served, ssl.create_default_context(cafile=str(cert))
