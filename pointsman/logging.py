"""Logs: one JSON object per line on stderr, without personal data."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from typing import Any, Final

import structlog

from pointsman.errors import ConfigurationError

REDACTED: Final = "[redacted]"
LEVELS: Final = ("debug", "info", "warning", "error")

# An address in any text, also one that is wrapped in other words.
_ADDRESS: Final = re.compile(r"(?:\"[^\"\n]{1,64}\"|[^\s@<>\"'(),:;]+)(?:@|%40)[^\s@<>\"'(),:;]+", re.IGNORECASE)
# A password in a connection string.
_PASSWORD: Final = re.compile(r"(\w+://[^\s:/@]+:)[^\s/]+@")
_PERSONAL: Final = frozenset({
    "email", "mail", "recipient", "to", "first_name", "last_name", "full_name", "phone", "payload", "body",
    "message_text", "prompt", "completion", "password", "secret", "token", "api_key", "authorization",
})  # fmt: skip


def configure_logging(level: str) -> None:
    """Send structlog and the standard library's loggers to stderr as JSON lines.

    Raises:
        ConfigurationError: there is no such level.
    """
    if level.lower() not in LEVELS:
        raise ConfigurationError("setting POINTSMAN_LOG_LEVEL: no such level", f"use one of {', '.join(LEVELS)}")
    number = getattr(logging, level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _only_the_type_of_exceptions,
        redact,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=number, force=True)
    for talkative in ("pymongo", "httpx", "httpx2", "authlib"):  # a line for every call; authlib's quote PKCE verifiers
        logging.getLogger(talkative).setLevel(logging.WARNING)
    # What breaks there is told by pointsman.tools; its own lines may quote what a server said.
    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: takes addresses and passwords out of every text, and personal fields out altogether."""
    for name, value in event.items():
        if not name.startswith("_"):
            event[name] = _redacted(name, value)
    return event


def mask(text: str) -> str:
    """`text` with every mail address in it shortened to its first letter and its domain."""
    return _ADDRESS.sub(_masked, text)


def _masked(match: re.Match[str]) -> str:
    local, _, domain = match.group().partition("@")
    return f"{local[:1]}***@{domain}"


def _redacted(name: str, value: Any) -> Any:
    if name in _PERSONAL:
        return REDACTED
    if isinstance(value, str):
        return _ADDRESS.sub(REDACTED, _PASSWORD.sub(rf"\1{REDACTED}@", value))
    if isinstance(value, dict):
        return {key: _redacted(str(key), inner) for key, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_redacted("", inner) for inner in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _redacted("", str(value))


def _only_the_type_of_exceptions(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An exception's text and trace may quote what it stumbled over; its type and its place do not."""
    information = event.pop("exc_info", None)
    if information is True:
        information = sys.exc_info()
    if isinstance(information, tuple):
        information = information[1]
    if isinstance(information, BaseException):
        event["exception"] = type(information).__name__
        if place := raised_at(information):
            event["raised_at"] = place
    return event


def raised_at(error: BaseException) -> str:
    """File and line that raised `error`, empty where nobody did: what may be told of one whose text may not."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
