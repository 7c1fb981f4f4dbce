"""The mail port and its SMTP adapter: the only module that imports aiosmtplib.

What a caller must know after a try is one of three things: it was taken, it was refused for good, or nobody can say.
SMTP has no fourth: once the message's text is on its way, a lost answer leaves open whether the server took it.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import parseaddr
from enum import StrEnum
from typing import Final, Literal, Protocol

import aiosmtplib
from pydantic import SecretStr

from pointsman.dkim_signing import DkimSigner
from pointsman.errors import ConfigurationError, EffectUnavailableError
from pointsman.settings import Settings

_CONNECTIONS: Final = 8
_AUTHENTICATION_CODES: Final = frozenset({530, 534, 535, 538})

Security = Literal["none", "starttls", "tls"]
_SECURITIES: Final[dict[str, Security]] = {"none": "none", "starttls": "starttls", "tls": "tls"}


class _WirePolicy(EmailPolicy):
    """As the standard library writes mails, but links in headers stay whole: it would encode a long one as a word."""

    def fold_binary(self, name: str, value: str) -> bytes:
        if name.lower() == "list-unsubscribe":
            return f"{name}: {value}{self.linesep}".encode("ascii")
        return super().fold_binary(name, value)


_WIRE: Final = _WirePolicy(linesep="\r\n")


class Outcome(StrEnum):
    """What became of one try to send a mail."""

    SENT = "sent"
    """The server took the message."""
    REJECTED = "rejected"
    """The server refused it for good; no retry helps."""
    UNKNOWN = "unknown"
    """The connection was lost while the message was handed over; it may have been taken."""


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """The result of one try.

    Attributes:
        outcome: what became of it.
        code: the server's reply code, 0 when there was none.
        is_recipient_refused: the server says that this mailbox takes no mail (a hard bounce).
    """

    outcome: Outcome
    code: int = 0
    is_recipient_refused: bool = False


class Mailer(Protocol):
    """Hands mails over to whoever delivers them."""

    async def send(self, message: EmailMessage, *, sender: str, recipient: str) -> Delivery:
        """Try once to hand `message` over.

        Raises:
            EffectUnavailableError: it was refused for now and surely not taken; trying again is safe.
            ConfigurationError: the login or the security setting is wrong.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class SmtpMailer:
    """Hands mails over by SMTP, one connection each, a few at the same time.

    Attributes:
        host: server name.
        port: server port.
        security: `tls` from the first byte, `starttls` (refused when the server cannot), or `none`.
        username: login name; no login when None.
        password: its password.
        helo_name: our own name in the greeting.
        timeout_s: seconds for each answer of the server.
        signer: signs every mail; none when None.
    """

    host: str
    port: int
    security: Security = "starttls"
    username: str | None = None
    password: SecretStr | None = None
    helo_name: str = "localhost"
    timeout_s: float = 15.0
    tls_context: ssl.SSLContext | None = None
    signer: DkimSigner | None = None
    _slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_CONNECTIONS), init=False, repr=False)

    @staticmethod
    def of(settings: Settings) -> SmtpMailer:
        """The mailer that the process's settings describe.

        Raises:
            ConfigurationError: the key of signatures is of no use, or its selector is missing.
        """
        _, address = parseaddr(settings.mail_from)
        domain = address.rpartition("@")[2] or "localhost"
        return SmtpMailer(
            host=settings.smtp_host,
            port=settings.smtp_port,
            security=_SECURITIES[settings.smtp_security],
            username=settings.smtp_username,
            password=settings.smtp_password,
            helo_name=domain,
            signer=_signer(settings, domain),
        )

    async def send(self, message: EmailMessage, *, sender: str, recipient: str) -> Delivery:
        """Try once to hand `message` over; see `Mailer.send`."""
        content = message.as_bytes(policy=_WIRE)
        if self.signer:
            content = self.signer.sign(content)
        async with self._slots:
            client = self._client()
            try:
                await self._connect(client)
                return await self._hand_over(client, content, sender, recipient)
            finally:
                # No QUIT: the outcome is known, and a slow goodbye must not turn it into a failure.
                client.close()

    async def check(self) -> None:
        """Connect, encrypt and log in as for a mail, and send none.

        Raises:
            EffectUnavailableError: the server does not answer.
            ConfigurationError: the login or the security setting is wrong.
        """
        client = self._client()
        try:
            await self._connect(client)
        finally:
            client.close()

    def _client(self) -> aiosmtplib.SMTP:
        return aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.username,
            password=self.password.get_secret_value() if self.password else None,
            local_hostname=self.helo_name,
            timeout=self.timeout_s,
            use_tls=self.security == "tls",
            start_tls=self.security == "starttls",
            tls_context=self.tls_context,
        )

    async def _connect(self, client: aiosmtplib.SMTP) -> None:
        try:
            await client.connect()
        except aiosmtplib.SMTPAuthenticationError as error:
            if error.code in _AUTHENTICATION_CODES:
                raise _login_refused(self.host) from None
            raise EffectUnavailableError(f"the mail server postponed the login ({error.code})") from None
        except aiosmtplib.SMTPResponseException as error:
            raise EffectUnavailableError(f"the mail server does not serve us ({error.code})") from None
        # The library lets errors of TLS and of the socket through; its own for a lost connection are OSErrors too.
        except OSError as error:
            raise EffectUnavailableError(f"no connection to the mail server ({type(error).__name__})") from None
        except aiosmtplib.SMTPException:
            # What is left: no STARTTLS, or no login, where one was wanted.
            raise ConfigurationError(
                f"the mail server {self.host} does not offer the wanted security or login",
                "set POINTSMAN_SMTP_SECURITY to what it offers, or leave the login out",
            ) from None

    async def _hand_over(self, client: aiosmtplib.SMTP, content: bytes, sender: str, recipient: str) -> Delivery:
        try:
            await client.mail(sender)
            await client.rcpt(recipient)
        except aiosmtplib.SMTPRecipientRefused as error:
            return _refused(error.code, is_recipient_refused=True)
        except aiosmtplib.SMTPResponseException as error:
            if error.code in _AUTHENTICATION_CODES:
                raise _login_refused(self.host) from None
            return _refused(error.code)
        except (aiosmtplib.SMTPException, OSError) as error:
            raise EffectUnavailableError(f"the mail server went away ({type(error).__name__})") from None
        try:
            response = await client.data(content)
        except aiosmtplib.SMTPResponseException as error:
            return _refused(error.code)
        except (aiosmtplib.SMTPException, OSError):
            return Delivery(outcome=Outcome.UNKNOWN)
        return Delivery(outcome=Outcome.SENT, code=response.code)


def _signer(settings: Settings, domain: str) -> DkimSigner | None:
    if settings.mail_dkim_key is None and settings.mail_dkim_selector is None:
        return None
    if settings.mail_dkim_key is None or settings.mail_dkim_selector is None:
        raise ConfigurationError(
            "of POINTSMAN_MAIL_DKIM_KEY and POINTSMAN_MAIL_DKIM_SELECTOR one is missing", "set both, or neither"
        )
    return DkimSigner(domain=domain, selector=settings.mail_dkim_selector, key=settings.mail_dkim_key)


def _refused(code: int, *, is_recipient_refused: bool = False) -> Delivery:
    """What a refusing reply means: 4xx may be tried again, 5xx is final, anything else says nothing."""
    if 400 <= code < 500:
        raise EffectUnavailableError(f"the mail server refused for now ({code})") from None
    if 500 <= code < 600:
        return Delivery(outcome=Outcome.REJECTED, code=code, is_recipient_refused=is_recipient_refused)
    return Delivery(outcome=Outcome.UNKNOWN, code=code)


def _login_refused(host: str) -> ConfigurationError:
    return ConfigurationError(
        f"the mail server {host} refused the login", "correct POINTSMAN_SMTP_USERNAME and POINTSMAN_SMTP_PASSWORD"
    )
