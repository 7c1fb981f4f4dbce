"""Signatures that another reader of the same standard takes, and that end with the first changed word."""

from __future__ import annotations

import subprocess
from email.message import EmailMessage

import dkim
import pytest
from pydantic import SecretStr

from pointsman.dkim_signing import DkimSigner
from pointsman.errors import ConfigurationError
from pointsman.mail import SmtpMailer
from pointsman.settings import Settings


def openssl(*arguments: str, stdin: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], input=stdin, capture_output=True, check=True).stdout


@pytest.fixture(scope="module")
def key() -> bytes:
    return openssl("genrsa", "2048")


@pytest.fixture(scope="module")
def record(key: bytes) -> bytes:
    public = openssl("rsa", "-pubout", stdin=key).decode()
    return b"v=DKIM1; k=rsa; p=" + "".join(public.splitlines()[1:-1]).encode()


def mail() -> bytes:
    message = EmailMessage()
    message["From"] = "Alex Kim <alex.kim@sdr.example>"
    message["To"] = "mara.lind@nordhafen.example"
    message["Subject"] = "Grüße"
    message["List-Unsubscribe"] = "<https://sdr.example/u/abc>"
    message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content("Hello Mara,\n.\nyou run five warehouses.\n")
    return message.as_bytes().replace(b"\n", b"\r\n")


def signer(key: bytes) -> DkimSigner:
    return DkimSigner(domain="sdr.example", selector="s1", key=SecretStr(key.decode()))


def verified(content: bytes, record: bytes) -> bool:
    asked: list[bytes] = []

    def look_up(name: bytes, timeout: int = 5) -> bytes:
        asked.append(name)
        return record

    is_good: bool = dkim.verify(content, dnsfunc=look_up)  # type: ignore[no-untyped-call]
    assert asked == [b"s1._domainkey.sdr.example."]
    return is_good


def test_a_signed_mail_is_verified_with_the_public_key(key: bytes, record: bytes) -> None:
    signed = signer(key).sign(mail())
    assert signed.endswith(mail())
    assert verified(signed, record)


@pytest.mark.parametrize(
    "changed", [b"you run six warehouses", b"unsubscribe/other", b"List-Unsubscribe=Two-Click", b"evil@sdr.example"]
)
def test_a_change_of_text_link_or_sender_breaks_the_signature(key: bytes, record: bytes, changed: bytes) -> None:
    before = {
        b"you run six warehouses": b"you run five warehouses", b"unsubscribe/other": b"u/abc",
        b"List-Unsubscribe=Two-Click": b"List-Unsubscribe=One-Click", b"evil@sdr.example": b"alex.kim@sdr.example",
    }  # fmt: skip
    signed = signer(key).sign(mail())
    assert before[changed] in signed
    assert not verified(signed.replace(before[changed], changed), record)


def test_the_settings_make_a_mailer_that_signs_for_the_senders_domain(key: bytes) -> None:
    told = Settings(mail_dkim_selector="s1", mail_dkim_key=SecretStr(key.decode()), mail_from="A <a@sdr.example>")
    made = SmtpMailer.of(told).signer
    assert made is not None
    assert (made.domain, made.selector) == ("sdr.example", "s1")
    assert SmtpMailer.of(Settings()).signer is None


def test_a_key_of_no_use_is_found_at_the_start_and_not_repeated() -> None:
    with pytest.raises(ConfigurationError, match="POINTSMAN_MAIL_DKIM_KEY") as caught:
        SmtpMailer.of(Settings(mail_dkim_selector="s1", mail_dkim_key=SecretStr("hunter2")))
    assert "hunter2" not in str(caught.value)


def test_a_key_without_a_selector_is_a_matter_of_configuration() -> None:
    with pytest.raises(ConfigurationError, match="SELECTOR"):
        SmtpMailer.of(Settings(mail_dkim_key=SecretStr("x")))
