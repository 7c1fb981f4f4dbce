"""Labelled messages as JSON Lines: a message, and the agent that should get it, or none (docs/evaluation.md).

{"message": {"event_type": "lead.scored", "payload": {…}}, "answer": "active_outreach", "source": "…"}
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pointsman.envelope import Payload, decode_payload
from pointsman.errors import ConfigurationError, InvalidEnvelopeError

_KNOWN: Final = frozenset({"id", "message", "answer", "source", "category", "reason"})


@dataclass(frozen=True, kw_only=True)
class Example:
    """One labelled message.

    Attributes:
        id: names it in reports; the line's number where the file says none.
        event_type: the message's type.
        payload: its payload.
        answer: the agent that should get it; None when nobody should, so that a person or nobody does.
        source: where the label comes from.
        category: what it is an example of, for figures by category.
        reason: why the answer is right, for whoever reviews it.
    """

    id: str
    event_type: str
    payload: Payload
    answer: str | None
    source: str
    category: str = ""
    reason: str = ""

    @property
    def fingerprint(self) -> str:
        """Tells its message from every other one, whatever the id and the answer are."""
        return fingerprint(self.event_type, self.payload)

    def to_json(self) -> dict[str, Any]:
        """The example as one line of a data set."""
        optional = {"category": self.category, "reason": self.reason}
        return {
            "id": self.id,
            **{name: text for name, text in optional.items() if text},
            "message": {"event_type": self.event_type, "payload": self.payload},
            "answer": self.answer,
            "source": self.source,
        }


def fingerprint(event_type: str, payload: Payload) -> str:
    """A short hash of a message."""
    text = json.dumps([event_type, payload], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def once(examples: Iterable[Example]) -> list[Example]:
    """Each message once, with its last label: what is collected every night overlaps, and must not count twice."""
    latest = {json.dumps([one.event_type, one.payload], sort_keys=True): one for one in examples}
    return list(latest.values())


def read_dataset(path: Path) -> list[Example]:
    """Every example of a data set, in order.

    Raises:
        ConfigurationError: the file cannot be read, a line is no example, or two have one id; the text names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigurationError(f"{path} cannot be read: {why}", "name a data set (docs/evaluation.md)") from None
    examples = [_example(line, f"{path}:{number}", number) for number, line in enumerate(lines, 1) if line.strip()]
    if not examples:
        raise ConfigurationError(f"{path} holds no example", "write one JSON object per line (docs/evaluation.md)")
    _check_ids(examples, path)
    return examples


def write_dataset(path: Path, examples: Iterable[Example]) -> int:
    """Write `examples` to a new file that only its owner may read, since payloads hold personal data; their number.

    Raises:
        ConfigurationError: the file exists, or cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be made: {error.strerror}", "choose another --output") from None
    lines = [json.dumps(example.to_json(), ensure_ascii=False) + "\n" for example in examples]
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.writelines(lines)
    return len(lines)


def _example(line: str, place: str, number: int) -> Example:
    try:
        said = decode_payload(line.encode(errors="surrogatepass"))
    except InvalidEnvelopeError as error:
        raise ConfigurationError(f"{place}: {error.detail}", _MEND) from None
    unknown = sorted(set(said) - _KNOWN)
    if unknown:
        raise ConfigurationError(f"{place}: it has an unknown field, {unknown[0][:40]}", _MEND)
    message = said.get("message")
    if not (isinstance(message, dict) and set(message) == {"event_type", "payload"}):
        raise ConfigurationError(f"{place}: message must hold event_type and payload, and nothing else", _MEND)
    if not isinstance(message["payload"], dict):
        raise ConfigurationError(f"{place}: the payload must be an object", _MEND)
    if "answer" not in said:
        raise ConfigurationError(f"{place}: answer is missing", "name an agent, or write null for nobody")
    return Example(
        id=_text(said, "id", place) or f"line {number}",
        event_type=_text(message, "event_type", place, required=True),
        payload=message["payload"],
        answer=None if said["answer"] is None else _text(said, "answer", place, required=True),
        source=_text(said, "source", place, required=True),
        category=_text(said, "category", place),
        reason=_text(said, "reason", place),
    )


_MEND: Final = "docs/evaluation.md describes the format"


def _text(holder: dict[str, Any], name: str, place: str, *, required: bool = False) -> str:
    value = holder.get(name, "")
    if not isinstance(value, str) or (required and not value):
        raise ConfigurationError(f"{place}: {name} must be a text{' that is not empty' if required else ''}", _MEND)
    return value


def _check_ids(examples: Sequence[Example], path: Path) -> None:
    seen: set[str] = set()
    for example in examples:
        if example.id in seen:
            raise ConfigurationError(f"{path}: two examples have the id {example.id[:80]}", "ids must be unique")
        seen.add(example.id)
