"""How well retrieval finds what a question needs: recall@k and mean reciprocal rank on labelled questions. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pointsman.errors import ConfigurationError
from pointsman.knowledge.port import Passage

DEPTHS: Final = (1, 3, 5, 10)
"""The k of recall@k; the ranks of the mean go as deep as the last."""


class Question(BaseModel):
    """A question, and where its answer stands.

    Attributes:
        query: the question.
        relevant: documents, or `document#heading` for the passages under one heading; any of them answers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    query: str = Field(min_length=1, max_length=2000)
    relevant: list[str] = Field(min_length=1, max_length=20)


@dataclass(frozen=True, kw_only=True)
class Measured:
    """Figures over all questions.

    Attributes:
        questions: their number.
        recall: share of the questions whose answer stands among the first k passages, by k.
        mrr: mean of 1 / rank of the first passage that answers; 0 where none of the first ten does.
        missed: the questions that the first ten passages do not answer.
    """

    questions: int
    recall: dict[int, float]
    mrr: float
    missed: list[str]


def read_questions(path: Path) -> list[Question]:
    """Labelled questions, JSON Lines.

    Raises:
        ConfigurationError: the file cannot be read, holds none, or one is wrong.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"{path} cannot be read ({type(error).__name__})", "name a JSON Lines file") from None
    found = [_question(path, number, line) for number, line in enumerate(lines, start=1) if line.strip()]
    if not found:
        raise ConfigurationError(f"{path} holds no questions", 'write lines like {"query": "…", "relevant": ["a.md"]}')
    return found


def measured(questions: Sequence[Question], search: Callable[[str], Sequence[Passage]]) -> Measured:
    """How well `search` does.

    Args:
        questions: what to ask.
        search: gives passages, best first; ten are looked at.
    """
    ranks = [_rank(question, search(question.query)) for question in questions]
    return Measured(
        questions=len(questions),
        recall={depth: _share([rank is not None and rank <= depth for rank in ranks]) for depth in DEPTHS},
        mrr=round(sum(1 / rank for rank in ranks if rank) / len(ranks), 4),
        missed=[question.query for question, rank in zip(questions, ranks, strict=True) if rank is None],
    )


def _rank(question: Question, passages: Sequence[Passage]) -> int | None:
    numbered = enumerate(passages[: DEPTHS[-1]], start=1)
    return next((rank for rank, passage in numbered if _answers(passage, question.relevant)), None)


def _answers(passage: Passage, relevant: Sequence[str]) -> bool:
    titles = {f"{passage.source}#{title}" for title in passage.heading.split(" > ")}
    return any(each == passage.source or each in titles for each in relevant)


def _share(are_so: Sequence[bool]) -> float:
    return round(sum(are_so) / len(are_so), 4)


def _question(path: Path, number: int, line: str) -> Question:
    try:
        return Question.model_validate(json.loads(line))
    except (ValueError, ValidationError) as error:
        problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "no JSON"
        raise ConfigurationError(f"{path}:{number}: {problem}", "each line has query and relevant") from None
