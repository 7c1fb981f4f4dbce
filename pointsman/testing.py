"""Doubles that behave like the real thing behind our ports, for the tests of whoever writes an agent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from pointsman.contracts import Contract
from pointsman.errors import ErrorReason, InvalidPayloadError, ModelAnswerError
from pointsman.models.port import ChatAnswer, ChatRequest, ToolCall
from pointsman.store import Document, as_stored, sort_order

ScriptedAnswer = dict[str, Any] | tuple[ToolCall, ...] | Exception


class ScriptedModel:
    """A `ChatModel` that answers from a script and records what it was asked.

    An answer that breaks the request's schema raises `ModelAnswerError`, as the real adapter does.

    Args:
        script: the answers in order, or a function from request to answer; a tuple of calls asks for tools, an
            exception is raised.

    Attributes:
        requests: every request so far.
    """

    def __init__(self, script: Iterable[ScriptedAnswer] | Callable[[ChatRequest], ScriptedAnswer]) -> None:
        self.requests: list[ChatRequest] = []
        self._answer = script if callable(script) else _in_order(iter(script))

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """The next answer of the script.

        Raises:
            AssertionError: the script has no answer left.
            ModelAnswerError: the scripted answer breaks the request's schema.
        """
        self.requests.append(request)
        answer = self._answer(request)
        if isinstance(answer, Exception):
            raise answer
        calls = answer if isinstance(answer, tuple) else ()
        content = answer if isinstance(answer, dict) else {}
        violation = None if calls else Contract(request.schema).violation(content)
        if violation:
            raise ModelAnswerError(f"the scripted answer does not keep the schema: {violation}")
        raw = "" if calls else json.dumps(content, ensure_ascii=False)
        return ChatAnswer(
            content=content,
            raw=raw,
            tool_calls=calls,
            model="scripted",
            input_tokens=len(request.system + request.user) // 4,
            output_tokens=len(raw) // 4,
            latency_ms=0.0,
        )

    async def close(self) -> None:
        """Nothing to give back."""


class ManualClock:
    """A clock that moves when told to; pass the object itself where a `now` function is wanted.

    Args:
        start: its first time, with an offset from UTC.
    """

    def __init__(self, start: datetime = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)) -> None:
        self._now = start

    def __call__(self) -> datetime:
        return self._now

    def advance(self, seconds: float) -> datetime:
        """Move forward and say the new time."""
        self._now += timedelta(seconds=seconds)
        return self._now


def _in_order(answers: Iterator[ScriptedAnswer]) -> Callable[[ChatRequest], ScriptedAnswer]:
    def answer(request: ChatRequest) -> ScriptedAnswer:
        following = next(answers, None)
        if following is None:
            message = f"the script has no answer left for {request.schema_name}"
            raise AssertionError(message)
        return following

    return answer


class InMemoryStore:
    """A `DocumentStore` in a dictionary; it passes the same contract tests as the one on MongoDB."""

    def __init__(self) -> None:
        self._collections: dict[str, dict[str, Document]] = {}
        self._unique: dict[str, list[tuple[str, ...]]] = {}

    async def get(self, collection: str, key: str) -> Document | None:
        """The document with `_id` = `key`, or None."""
        found = self._documents(collection).get(key)
        return as_stored(found) if found is not None else None

    async def find(
        self,
        collection: str,
        criteria: Mapping[str, Any],
        *,
        sort: str | None = None,
        limit: int = 100,
        ids_only: bool = False,
    ) -> list[Document]:
        """Documents that match, sorted by `sort` (descending as `-field`), then by `_id`."""
        found = [document for document in self._documents(collection).values() if _matches(document, criteria)]
        for name, direction in reversed(sort_order(sort) if sort else []):
            found.sort(key=lambda document, name=name: _rank(_at(document, name)), reverse=direction < 0)  # type: ignore[misc]
        return [as_stored({"_id": one["_id"]} if ids_only else one) for one in found[:limit]]

    async def insert_once(self, collection: str, document: Document) -> Document:
        """Insert unless a document with that `_id` is there; the one that is there afterwards."""
        if document["_id"] not in self._documents(collection):
            await self.put(collection, document)
        return as_stored(self._documents(collection)[document["_id"]])

    async def put(self, collection: str, document: Document) -> None:
        """Insert or replace the document with that `_id`."""
        stored = as_stored(document)
        self._check_unique(collection, stored)
        self._documents(collection)[stored["_id"]] = stored

    async def update_if(
        self, collection: str, key: str, expected: Mapping[str, Any], changes: Mapping[str, Any]
    ) -> Document | None:
        """Set `changes` if the document still matches `expected`; it afterwards, or None if it did not."""
        before = self._documents(collection).get(key)
        if before is None or not _matches(before, expected):
            return None
        after = as_stored(before)
        for name, value in changes.items():
            _set(after, name, value)
        await self.put(collection, after)
        return as_stored(after)

    async def delete(self, collection: str, key: str) -> bool:
        """Delete the document with that `_id`; whether there was one."""
        return self._documents(collection).pop(key, None) is not None

    async def count(self, collection: str, criteria: Mapping[str, Any]) -> int:
        """Number of documents that match."""
        return sum(_matches(document, criteria) for document in self._documents(collection).values())

    async def ensure_index(
        self, collection: str, fields: Sequence[str], *, unique: bool = False, expire_after_s: int | None = None
    ) -> None:
        """Remember a unique index; others make no difference here, and nothing expires."""
        if unique:
            self._unique.setdefault(collection, []).append(tuple(fields))

    async def close(self) -> None:
        """Nothing to give back."""

    def _documents(self, collection: str) -> dict[str, Document]:
        return self._collections.setdefault(collection, {})

    def _check_unique(self, collection: str, document: Document) -> None:
        for fields in self._unique.get(collection, []):
            criteria = {name: _at(document, name) for name in fields}
            others = (other for other in self._documents(collection).values() if other["_id"] != document["_id"])
            if any(_matches(other, criteria) for other in others):
                detail = f"another document of {collection} has the same values in a unique index"
                raise InvalidPayloadError(ErrorReason.CONTRACT_VIOLATION, detail)


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda value, wanted: _equals(value, wanted),
    "$ne": lambda value, wanted: not _equals(value, wanted),
    "$lt": lambda value, wanted: _comparable(value, wanted) and value < wanted,
    "$lte": lambda value, wanted: _comparable(value, wanted) and value <= wanted,
    "$gt": lambda value, wanted: _comparable(value, wanted) and value > wanted,
    "$gte": lambda value, wanted: _comparable(value, wanted) and value >= wanted,
    "$in": lambda value, wanted: any(_equals(value, one) for one in wanted),
    "$exists": lambda value, wanted: (value is not _MISSING) == wanted,
}
_MISSING: Any = object()


def _matches(document: Document, criteria: Mapping[str, Any]) -> bool:
    return all(_fits(_at(document, name), wanted) for name, wanted in criteria.items())


def _fits(value: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict) and any(name.startswith("$") for name in wanted):
        return all(_OPERATORS[name](value, operand) for name, operand in wanted.items())
    return _equals(value, wanted)


def _equals(value: Any, wanted: Any) -> bool:
    if value is _MISSING:
        return wanted is None
    holds = isinstance(value, list) and not isinstance(wanted, list) and wanted in value
    return bool(holds or value == wanted)


def _comparable(value: Any, wanted: Any) -> bool:
    return value is not _MISSING and value is not None and _rank(value)[0] == _rank(wanted)[0]


def _at(document: Document, path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        if not isinstance(value, dict) or name not in value:
            return _MISSING
        value = value[name]
    return value


def _set(document: Document, path: str, value: Any) -> None:
    *parents, last = path.split(".")
    for name in parents:
        document = document.setdefault(name, {})
    document[last] = value


def _rank(value: Any) -> tuple[int, Any]:
    """MongoDB's order across types: nothing, numbers, texts, truth values, times."""
    if value is _MISSING or value is None:
        return 0, 0
    kinds = ((bool, 3), (int | float, 1), (str, 2), (datetime, 4))
    for kind, rank in kinds:
        if isinstance(value, kind):
            return rank, value
    return 5, str(value)
