"""Which files of a folder are agent definitions, and their text, read with care."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from pointsman.definitions.problems import Problem

MAX_FILE_BYTES: Final = 256 * 1024
_SUFFIX: Final = ".yaml"
_LEFT_BY_EDITORS: Final = (".", "#")


def definition_files(folder: Path) -> Iterator[Path]:
    """The files of `folder` that claim to be definitions, by name; what editors leave behind is passed over.

    `*.yml` is among them only to be refused by name: a definition that is silently not there is worse than an error.

    Raises:
        OSError: the folder cannot be read.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in {_SUFFIX, ".yml"} and not path.name.startswith(_LEFT_BY_EDITORS):
            yield path


def read_text(path: Path, folder: Path) -> str | Problem:
    """The text of a definition file, without a byte order mark, or why it cannot be had."""
    try:
        refusal = _refusal(path, folder)
        if refusal:
            return Problem(path=shown(path), message=refusal)
        with path.open("rb") as file:
            content = file.read(MAX_FILE_BYTES + 1)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or "the link leads in a circle"
        return Problem(path=shown(path), message=f"cannot be read: {reason}")
    return _decode(content, path)


def shown(path: Path) -> str:
    """The file's name for a person; bytes that are no text become question marks."""
    return str(path).encode(errors="replace").decode()


def _refusal(path: Path, folder: Path) -> str | None:
    if path.suffix != _SUFFIX:
        return f"a definition's name ends in {_SUFFIX}: rename it to {path.stem}{_SUFFIX}"
    if not path.resolve(strict=True).is_relative_to(folder.resolve()):
        return "the link leads out of the folder: put the file itself here"
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):
        return "is not a file"
    if status.st_size > MAX_FILE_BYTES:
        return f"has {status.st_size} bytes; a definition has at most {MAX_FILE_BYTES}"
    return None


def _decode(content: bytes, path: Path) -> str | Problem:
    if len(content) > MAX_FILE_BYTES:
        return Problem(path=shown(path), message=f"has more than {MAX_FILE_BYTES} bytes")
    try:
        return content.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line_start = before.rfind(b"\n") + 1
        return Problem(
            path=shown(path),
            line=before.count(b"\n") + 1,
            column=len(before[line_start:].decode(errors="replace")) + 1,
            message="is not UTF-8 from here on: save it as UTF-8",
        )
