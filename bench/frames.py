"""Recordings, reduced to where the time went: the frames on top of the stacks, by share. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any, Final

MOST: Final = 12
"""Rows of a table; what is below a per cent or two explains nothing."""
_PLACE: Final = re.compile(r"^(?P<name>.+) \((?P<file>[^():]+)(?::\d+)?\)$")
_NUMBER: Final = re.compile(r"[-#( ]*\d+([-/ ]\d+)*\)?$")


def shares(counts: Mapping[str, float], most: int = MOST) -> list[dict[str, Any]]:
    """The largest of `counts` by share of the whole, largest first; `[]` when there is nothing."""
    whole = sum(counts.values())
    if whole <= 0:
        return []
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]
    return [{"name": name, "share": round(count / whole, 4)} for name, count in ordered if count > 0]


def python_self(stacks: Iterable[str]) -> Counter[str]:
    """Samples by the frame on top.

    Args:
        stacks: py-spy's raw format: `outer (file.py:1);inner (file.py:2) 17`.
    """
    found: Counter[str] = Counter()
    for line in stacks:
        stack, _, count = line.rpartition(" ")
        if stack and count.isdigit():
            found[_python_frame(stack.rpartition(";")[2])] += int(count)
    return found


def _python_frame(frame: str) -> str:
    """Function and file without its line: lines of one function are one cost."""
    found = _PLACE.match(frame)
    if found is None:
        return frame
    path = PurePath(found["file"])
    return f"{found['name']} ({'/'.join(path.parts[-2:])})"


def java_self(events: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """Samples by the method on top.

    Args:
        events: of `jfr print --json`, those of execution samples, Java's own and native ones.
    """
    found: Counter[str] = Counter()
    for event in events:
        stack = (event["values"].get("stackTrace") or {}).get("frames") or []
        if stack:
            found[_java_frame(stack[0]["method"])] += 1
    return found


def _java_frame(method: Mapping[str, Any]) -> str:
    kind = str(method["type"]["name"]).replace("/", ".")
    package, _, name = kind.rpartition(".")
    short = ".".join(part[0] for part in package.split(".") if part)
    return f"{short}.{name}.{method['name']}" if short else f"{name}.{method['name']}"


def thread_kind(name: str) -> str:
    """A thread's name without the number that its siblings differ in."""
    return _NUMBER.sub("", name) or name
