"""Answers to questions that were asked before, from the document store."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog

from pointsman.errors import StoreUnavailableError
from pointsman.models.answers import shape_of
from pointsman.models.port import ChatAnswer, ChatModel, ChatRequest
from pointsman.store import Document, DocumentStore

COLLECTION: Final = "model_answers"
EXPIRES: Final = "expires_at"

_log = structlog.get_logger(__name__)


@dataclass(kw_only=True)
class CachedModel:
    """A `ChatModel` that asks once for the same question. Only for answers that nobody is written to with.

    A store that does not answer costs a model call, and nothing else.

    Attributes:
        model: the model to ask.
        store: where answers are kept.
        ttl_s: seconds for which they are.
        asked: the names of the models that may answer, in order; an answer of others is no answer of these.
        now: the clock, UTC.
    """

    model: ChatModel
    store: DocumentStore
    ttl_s: float
    asked: tuple[str, ...]
    now: Callable[[], datetime]
    monotonic: Callable[[], float] = time.monotonic
    _is_indexed: bool = field(default=False, init=False)

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """The kept answer, or the model's.

        Raises:
            PointsmanError: as the model itself.
        """
        if request.tools:  # what tools say changes, and a call of one is no answer
            return await self.model.complete(request)
        key, began = cache_key(request, self.asked), self.monotonic()
        found = await self._found(key, request)
        if found is not None:
            return _again(found, (self.monotonic() - began) * 1000)
        answer = await self.model.complete(request)
        # A model that stood in is not the one that the question names.
        if not answer.is_fallback:
            await self._keep(key, answer)
        return answer

    async def close(self) -> None:
        """Give connections back."""
        await self.model.close()

    async def _found(self, key: str, request: ChatRequest) -> Document | None:
        try:
            found = await self.store.get(COLLECTION, key)
        except StoreUnavailableError as error:
            _log.warning("kept answers cannot be read", problem=str(error))
            return None
        if found is None or found[EXPIRES] <= self.now():
            return None
        # Whoever can write to the store must not be able to hand an agent what breaks its contract.
        return found if shape_of(request.schema).contract.violation(found["content"]) is None else None

    async def _keep(self, key: str, answer: ChatAnswer) -> None:
        until = self.now() + timedelta(seconds=self.ttl_s)
        document: Document = {"_id": key, "content": answer.content, "model": answer.model, EXPIRES: until}
        try:
            if not self._is_indexed:
                await self.store.ensure_index(COLLECTION, [EXPIRES], expire_after_s=0)
                self._is_indexed = True
            await self.store.put(COLLECTION, document)
        except StoreUnavailableError as error:
            _log.warning("an answer cannot be kept", problem=str(error))


def cache_key(request: ChatRequest, asked: tuple[str, ...]) -> str:
    """A hash of all that the answer depends on: models, prompt, schema and how they are asked."""
    parts = (
        list(asked),
        request.system,
        request.user,
        request.schema,
        request.temperature,
        request.max_output_tokens,
    )
    return hashlib.sha256(json.dumps(parts, sort_keys=True, ensure_ascii=False).encode(errors="replace")).hexdigest()


def _again(found: Document, latency_ms: float) -> ChatAnswer:
    return ChatAnswer(
        content=found["content"],
        raw="",
        model=found["model"],
        input_tokens=0,
        output_tokens=0,
        latency_ms=latency_ms,
        attempts=0,
        completions=0,
        cost_usd=0.0,
        is_cached=True,
    )
