"""Puts several rankings together by reciprocal ranks. Pure.

Ranks, not scores: the score of BM25 has no upper bound and that of a cosine has no lower one that says much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pointsman.knowledge.port import Passage

_DAMPING: Final = 60
"""As in Cormack, Clarke and Buettcher, SIGIR 2009: how little the first places differ from each other."""


def fused(rankings: Sequence[Sequence[Passage]], limit: int) -> list[Passage]:
    """The best passages over all rankings, best first.

    Args:
        rankings: each best first.
        limit: how many at most.
    """
    scores: dict[tuple[str, str], float] = {}
    known: dict[tuple[str, str], Passage] = {}
    for ranking in rankings:
        for rank, passage in enumerate(ranking, start=1):
            key = (passage.source, passage.id)
            known[key] = passage
            scores[key] = scores.get(key, 0.0) + 1 / (_DAMPING + rank)
    best = sorted(scores, key=lambda key: -scores[key])[:limit]
    return [replace(known[key], score=round(scores[key], 6)) for key in best]
