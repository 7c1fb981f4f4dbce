"""A model that says how sure it is, and a second opinion where it is not sure enough."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final

from pointsman.errors import ConfigurationError, ModelAnswerError, ModelRefusedError, ModelUnavailableError
from pointsman.models.port import ChatAnswer, ChatModel, ChatRequest, Doubt, Opinion

AGREE: Final = 1.0
DIFFER: Final = 0.5
"""Confidence where it can only be told from two answers: they are the same, or only one of them can be right."""
_SAMPLE_TEMPERATURE: Final = 1.0
_WITHIN_S: Final = 30.0
"""For another opinion: an answer is there already, and all of it together has a time, after which it is asked anew."""
_NO_OPINION: Final = (ModelUnavailableError, ModelAnswerError, ModelRefusedError, ConfigurationError, TimeoutError)


class OpinionsModel:
    """A `ChatModel` that asks another one, and doubts its answer where the request says so.

    How sure an answer is comes from the server's log-probabilities; where it gives none, the model is asked once more,
    unless the request wants one sample only, and agreement tells. Where that does not come either, it is not known,
    and the answer counts. An answer below its threshold is asked of the second model. Its answer is taken; how sure
    that one is comes from its own log-probabilities, else from agreement.

    Args:
        model: the model that is asked.
    """

    def __init__(self, model: ChatModel) -> None:
        self._model = model
        self._without_logprobs: set[str | None] = set()

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """Ask the model, and again where its answer is in doubt; raises what the model raises on the first question."""
        if request.doubt is None:
            return await self._model.complete(request)
        doubt = request.doubt
        answer = await self._asked(request)
        if answer.confidence is None and not doubt.concerns(_choice(answer, doubt)):
            return answer
        if answer.confidence is None and doubt.samples > 1:
            answer = await self._sampled(request, answer, doubt)
        answer = replace(answer, opinions=(*answer.opinions[:-1], _opinion(answer, doubt)))
        if not is_doubtful(answer, doubt) or not doubt.second_model:
            return answer
        return await self._second(request, answer, doubt)

    async def close(self) -> None:
        """Give connections back."""
        await self._model.close()

    async def _asked(self, request: ChatRequest) -> ChatAnswer:
        """The answer, with log-probabilities if the server gives any."""
        if request.model in self._without_logprobs:
            return await self._model.complete(replace(request, doubt=None))
        try:
            return await self._model.complete(request)
        except ModelAnswerError as error:
            if error.answer is not None:
                raise
        # The server refused the request as such; reasoning models refuse log-probabilities.
        answer = await self._model.complete(replace(request, doubt=None))
        self._without_logprobs.add(request.model)
        return answer

    async def _sampled(self, request: ChatRequest, first: ChatAnswer, doubt: Doubt) -> ChatAnswer:
        try:
            async with asyncio.timeout(_WITHIN_S):
                other = await self._model.complete(replace(request, doubt=None, temperature=_SAMPLE_TEMPERATURE))
        except _NO_OPINION as error:
            return _with_cost_of(error, first)
        confidence = AGREE if _choice(first, doubt) == _choice(other, doubt) else DIFFER
        both = _opinion(other, doubt), _opinion(first, doubt)
        return replace(_summed(first, other), confidence=confidence, opinions=both)

    async def _second(self, request: ChatRequest, first: ChatAnswer, doubt: Doubt) -> ChatAnswer:
        try:
            async with asyncio.timeout(_WITHIN_S):
                second = await self._asked(replace(request, model=doubt.second_model))
        except _NO_OPINION as error:
            # Nobody else has an opinion: the first one stands, and it is in doubt.
            return _with_cost_of(error, first)
        confidence = second.confidence
        if confidence is None:
            confidence = AGREE if _choice(first, doubt) == _choice(second, doubt) else DIFFER
        judged = replace(second, confidence=confidence)
        return replace(_summed(judged, first), opinions=(*first.opinions, _opinion(judged, doubt)))


def is_doubtful(answer: ChatAnswer, doubt: Doubt) -> bool:
    """Whether `answer` is less sure than it must be; never where nobody knows how sure it is."""
    return answer.confidence is not None and answer.confidence < doubt.needed(_choice(answer, doubt))


def _choice(answer: ChatAnswer, doubt: Doubt) -> str:
    return str(answer.content.get(doubt.field))


def _opinion(answer: ChatAnswer, doubt: Doubt) -> Opinion:
    return Opinion(model=answer.model, choice=_choice(answer, doubt), confidence=answer.confidence)


def _with_cost_of(error: Exception, first: ChatAnswer) -> ChatAnswer:
    """`first`, with what an answer of no use has used."""
    useless = error.answer if isinstance(error, ModelAnswerError | ModelRefusedError) else None
    return first if useless is None else _summed(first, useless)


def _summed(taken: ChatAnswer, other: ChatAnswer) -> ChatAnswer:
    """`taken`, with what both have used."""
    known = None not in (taken.cost_usd, other.cost_usd)
    return replace(
        taken,
        input_tokens=taken.input_tokens + other.input_tokens,
        output_tokens=taken.output_tokens + other.output_tokens,
        cached_tokens=taken.cached_tokens + other.cached_tokens,
        latency_ms=taken.latency_ms + other.latency_ms,
        attempts=taken.attempts + other.attempts,
        completions=taken.completions + other.completions,
        cost_usd=(taken.cost_usd or 0.0) + (other.cost_usd or 0.0) if known else None,
    )
