"""People and their addresses: what to write to, and how to recognise the same person twice."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from email_validator import EmailNotValidError, validate_email

from pointsman.plaintext import one_line


class AddressError(Exception):
    """The text is no address that a mail can be sent to."""


@dataclass(frozen=True, kw_only=True)
class Address:
    """A checked mail address.

    Attributes:
        mailbox: what a mail is sent to: ASCII, an international domain in its xn-- form.
        domain: the part after the @, lower case.
        person: the same for every spelling of one person's address: lower case, without +tag.
    """

    mailbox: str
    domain: str
    person: str


def read_address(text: str) -> Address:
    """Read an address as people type it: spaces around, `mailto:`, upper case, full-width letters.

    The domain is not asked for: a name server that is down must not turn a lead away.

    Raises:
        AddressError: it is none; the text says why without the address.
    """
    typed = unicodedata.normalize("NFKC", one_line(text, 320)).removeprefix("mailto:").strip(" <>\"',;")
    try:
        checked = validate_email(typed, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError:
        # The library's text may quote the address.
        raise AddressError("the address is not valid") from None
    if checked.ascii_email is None:
        raise AddressError("the address has letters that most mail servers refuse")
    mailbox = checked.ascii_email
    local, _, domain = mailbox.rpartition("@")
    return Address(mailbox=mailbox, domain=domain.lower(), person=f"{_person(local)}@{domain.lower()}")


def _person(local: str) -> str:
    name = local.lower()
    # A tag needs something before it: `+news@...` is a mailbox of its own.
    return name.split("+", 1)[0] if not name.startswith("+") else name
