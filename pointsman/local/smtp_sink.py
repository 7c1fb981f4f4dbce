"""The local mailbox: takes every mail over SMTP and keeps it as a file, and sends nothing on.

python -m pointsman.local.smtp_sink --port 11025 --mailbox .pointsman/mailbox
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final

from aiosmtpd.smtp import SMTP, Envelope, Session

_LARGEST_MAIL_BYTES: Final = 10 * 1024 * 1024


class Mailbox:
    """Writes each mail to a file of its own, with the envelope's addresses on top as a mail server would note them.

    Args:
        folder: where the files go; made when missing.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = count(1)
        folder.mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        """Keep one mail; the answer is given when it is on disk."""
        content = envelope.original_content or b""
        noted = [f"Return-Path: <{envelope.mail_from}>", *(f"Delivered-To: {to}" for to in envelope.rcpt_tos)]
        head = "".join(f"{line}\r\n" for line in noted).encode()
        await asyncio.to_thread(self._write, head + content)
        return "250 2.0.0 kept in the local mailbox"

    def _write(self, mail: bytes) -> None:
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%f")
        target = self._folder / f"{stamp}-{next(self._numbers):06d}.eml"
        # A reader of *.eml never sees half a mail.
        unfinished = target.with_suffix(".part")
        unfinished.write_bytes(mail)
        unfinished.rename(target)


async def listen(host: str, port: int, mailbox: Mailbox) -> asyncio.Server:
    """A server that keeps mails in `mailbox`; port 0 lets the machine choose."""
    return await asyncio.get_running_loop().create_server(
        lambda: SMTP(mailbox, data_size_limit=_LARGEST_MAIL_BYTES, enable_SMTPUTF8=True, hostname="localhost"),
        host,
        port,
    )


async def serve(host: str, port: int, mailbox: Mailbox) -> None:
    """Take mails until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with await listen(host, port, mailbox) as server:
        address = server.sockets[0].getsockname()
        sys.stderr.write(f"mailbox listens on {address[0]}:{address[1]}; mails are kept and never sent on\n")
        await stop.wait()


def main() -> None:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(prog="pointsman.local.smtp_sink", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--mailbox", type=Path, required=True, help="folder of the .eml files")
    arguments = parser.parse_args()
    os.umask(0o077)  # mails hold personal data
    asyncio.run(serve(arguments.host, arguments.port, Mailbox(arguments.mailbox)))


if __name__ == "__main__":
    main()
