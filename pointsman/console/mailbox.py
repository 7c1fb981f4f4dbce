"""The mails that the local mail server received, newest first, addresses masked."""

from __future__ import annotations

from email import policy
from email.errors import MessageError
from email.message import EmailMessage
from email.parser import BytesParser
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from pointsman.logging import mask
from pointsman.plaintext import many_lines, one_line

MOST_SHOWN: Final = 50
_LONGEST_MAIL_BYTES: Final = 256 * 1024
_LONGEST_BODY: Final = 8_000
_LONGEST_HEADER: Final = 300


class Mailbox:
    """Reads `*.eml` files.

    Args:
        folder: where they are; it may not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def names(self) -> list[str]:
        """Names of the mails' files, newest first; the server names them by time."""
        try:
            return sorted((path.name for path in self._folder.glob("*.eml")), reverse=True)
        except OSError:
            return []

    def state(self) -> dict[str, Any]:
        """The newest mails as plain data, and how many there are."""
        names = self.names()
        mails = [mail for name in names[:MOST_SHOWN] if (mail := _read(self._folder / name))]
        return {"count": len(names), "mails": mails}


@lru_cache(maxsize=2 * MOST_SHOWN)
def _read(path: Path) -> dict[str, Any] | None:
    """One mail; a file is written once and never changed, so it is read once."""
    try:
        with path.open("rb") as file:
            mail = BytesParser(policy=policy.default).parsebytes(file.read(_LONGEST_MAIL_BYTES))
    except (OSError, MessageError, ValueError):
        return None
    return {
        "id": path.stem,
        **{name: _header(mail, name) for name in ("from", "to", "subject", "date")},
        "body": mask(many_lines(_body(mail), _LONGEST_BODY)),
    }


def _header(mail: EmailMessage, name: str) -> str:
    try:
        return mask(one_line(str(mail.get(name, "")), _LONGEST_HEADER))
    except Exception:  # email's header parser raises anything for a malformed header
        return ""


def _body(mail: EmailMessage) -> str:
    try:
        part = mail.get_body(preferencelist=("plain",))
        return str(part.get_content()) if part else "(no plain text)"
    except Exception:  # so does its decoder for an unknown charset or encoding
        return "(not readable)"
