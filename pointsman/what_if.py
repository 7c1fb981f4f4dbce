"""What another model or another catalog would have decided on messages of the past. Writes nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from pointsman.catalog import Catalog
from pointsman.decision_log import LoggedDecision
from pointsman.envelope import Record, decode
from pointsman.errors import ConfigurationError, InvalidEnvelopeError, PointsmanError
from pointsman.models.port import ChatModel
from pointsman.replay import CannotReplayError, Replay, asked_hash, concluded, prepared_by
from pointsman.routing.decision import Decision
from pointsman.routing.question import ModelQuestion
from pointsman.routing.router import Router

_AT_ONCE: Final = 16


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One message: what was decided then, and what would be now.

    Attributes:
        logged: the decision of then.
        before: who got it, or the outcome.
        after: who would get it, or the outcome.
        reason: why, now.
        asked: whether a model was asked for this.
        skipped: why it could not be compared; empty when it was.
    """

    logged: LoggedDecision
    before: str
    after: str = ""
    reason: str = ""
    asked: bool = False
    skipped: str = ""

    @property
    def is_changed(self) -> bool:
        """Whether it would go another way."""
        return not self.skipped and self.before != self.after


class WhatIf:
    """Decides anew with another model, another catalog, or both.

    Args:
        replay: knows the catalogs of then.
        model: is asked where the log has no answer to the very same question.
        model_name: the model to ask instead of the one of then; None keeps it.
        catalog: the definitions to decide by instead of those of then; None keeps them.
    """

    def __init__(
        self, replay: Replay, model: ChatModel, *, model_name: str | None = None, catalog: Catalog | None = None
    ) -> None:
        self._replay = replay
        self._model = model
        self._model_name = model_name
        self._catalog = catalog

    def calls(self, pairs: Iterable[tuple[LoggedDecision, Record]]) -> int:
        """How many model calls `run` would make."""
        return sum(isinstance(self._open(logged, record), tuple) for logged, record in pairs)

    async def run(
        self, pairs: Sequence[tuple[LoggedDecision, Record]], on_done: Callable[[], None] = lambda: None
    ) -> list[Verdict]:
        """A verdict for each pair, in order.

        Args:
            pairs: decisions, each with its message.
            on_done: called after each.

        Raises:
            ConfigurationError: the model's key or name is wrong.
        """
        limit = asyncio.Semaphore(_AT_ONCE)

        async def one(logged: LoggedDecision, record: Record) -> Verdict:
            async with limit:
                verdict = await self._verdict(logged, record)
            on_done()
            return verdict

        return list(await asyncio.gather(*(one(logged, record) for logged, record in pairs)))

    async def _verdict(self, logged: LoggedDecision, record: Record) -> Verdict:
        begun = self._open(logged, record)
        if isinstance(begun, str):
            return Verdict(logged=logged, before=target(logged.outcome, logged.agent), skipped=begun)
        if isinstance(begun, Decision):
            return _verdict(logged, begun, asked=False)
        router, question = begun
        try:
            decision = router.conclude(question, await self._model.complete(question.request))
        except ConfigurationError:
            raise  # each of the others would fail the same way
        except PointsmanError as error:
            decision = router.conclude_failure(question, error)
        return _verdict(logged, decision, asked=True)

    def _open(self, logged: LoggedDecision, record: Record) -> Decision | tuple[Router, ModelQuestion] | str:
        """The decision, or what to ask, or why neither is possible."""
        try:
            router = self._router(logged)
            prepared = prepared_by(router, logged, decode(record))
            if isinstance(prepared, Decision):
                return prepared
            if self._model_name is None and asked_hash(logged) == prepared.prompt_hash:
                return concluded(router, prepared, logged)
        except CannotReplayError as error:
            return error.why
        except InvalidEnvelopeError:
            return "it is no message"
        return router, prepared

    def _router(self, logged: LoggedDecision) -> Router:
        then = self._replay.router(logged, self._model_name)
        if self._catalog is None:
            return then
        # As after an apply: what an agent has said by the definition of then still counts.
        return Router(replace(self._catalog, earlier=then.catalog.definitions), then.options)


def summary(verdicts: Iterable[Verdict]) -> Iterator[tuple[str, str, int]]:
    """How often what went one way would go another: before, after, count; the most frequent first."""
    counts = Counter((verdict.before, verdict.after) for verdict in verdicts if not verdict.skipped)
    for (before, after), count in counts.most_common():
        yield before, after, count


def target(outcome: str, agent: str | None) -> str:
    """Where a message goes, in one word."""
    return agent or outcome


def _verdict(logged: LoggedDecision, decision: Decision, *, asked: bool) -> Verdict:
    return Verdict(
        logged=logged,
        before=target(logged.outcome, logged.agent),
        after=target(decision.outcome.value, decision.agent),
        reason=decision.reason,
        asked=asked,
    )
