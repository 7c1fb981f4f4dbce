"""Documents as JSON and back. A time becomes an object of its own, because JSON knows none."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pointsman.errors import ErrorReason, InvalidPayloadError
from pointsman.store import Document, as_stored

TIME: Final = "pointsman:time"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


def encoded(value: Any) -> str:
    """`value` as JSON.

    Raises:
        InvalidPayloadError: PostgreSQL cannot keep it.
    """
    try:
        text = json.dumps(value, default=_plain, allow_nan=False)
    except (TypeError, ValueError):
        raise _not_kept() from None
    if "\\u0000" in text:
        raise _not_kept()
    return text


def stored(document: Document) -> tuple[Document, str]:
    """`document` as it will come back, and as it is written.

    Raises:
        InvalidPayloadError: it holds something that cannot be kept.
    """
    kept = as_stored(document)
    return kept, encoded(kept)


def decoded(text: str) -> Document:
    """The document in `text`."""
    document: Document = json.loads(text, object_hook=_with_time)
    return document


def milliseconds(time: datetime) -> int:
    """`time` as it is kept."""
    return (time - _EPOCH) // _MILLISECOND


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return {TIME: milliseconds(value)}
    raise TypeError


def _with_time(value: dict[str, Any]) -> Any:
    return _EPOCH + value[TIME] * _MILLISECOND if value.keys() == {TIME} else value


def _not_kept() -> InvalidPayloadError:
    return InvalidPayloadError(ErrorReason.CONTRACT_VIOLATION, "a document holds something PostgreSQL cannot keep")
