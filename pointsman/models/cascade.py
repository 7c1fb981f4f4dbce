"""A cheap model first, and a strong one where the cheap one's answer is of no use or not sure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pointsman.errors import ModelAnswerError
from pointsman.models.port import ChatAnswer, ChatModel, ChatRequest


@dataclass(frozen=True, kw_only=True)
class CascadeModel:
    """A `ChatModel` that asks again, a stronger model, in doubt.

    Attributes:
        model: the client; it is asked for both models.
        strong: the stronger model's name.
        doubt_below: in doubt is an answer whose own `confidence` is lower; None: only one that is of no use.
    """

    model: ChatModel
    strong: str
    doubt_below: float | None = None

    async def complete(self, request: ChatRequest) -> ChatAnswer:
        """The first model's answer, or the stronger one's.

        Raises:
            PointsmanError: as the model itself.
        """
        try:
            answer = await self.model.complete(request)
        except ModelAnswerError:
            answer = None
        if answer is not None and not self._doubts(answer):
            return answer
        return await self.model.complete(replace(request, model=self.strong))

    async def close(self) -> None:
        """Give connections back."""
        await self.model.close()

    def _doubts(self, answer: ChatAnswer) -> bool:
        said = answer.content.get("confidence")
        if self.doubt_below is None or isinstance(said, bool) or not isinstance(said, int | float):
            return False
        return said < self.doubt_below
