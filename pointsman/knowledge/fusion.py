"""Puts several rankings together by reciprocal ranks. Pure.

Ranks, not scores: the score of BM25 has no upper bound and that of a cosine has no lower one that says much.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pointsman.knowledge.port import Passage

_DAMPING: Final = 10
"""How little the first places differ from each other: less than the 60 that is usual for lists of a thousand."""


def fused(rankings: Sequence[tuple[Sequence[Passage], float]], limit: int) -> list[Passage]:
    """The best passages over all rankings, best first.

    Args:
        rankings: each best first, with how much it counts.
        limit: how many at most.
    """
    scores: dict[tuple[str, str], float] = {}
    known: dict[tuple[str, str], Passage] = {}
    for ranking, weight in rankings:
        for rank, passage in enumerate(ranking, start=1):
            key = (passage.source, passage.id)
            known[key] = passage
            scores[key] = scores.get(key, 0.0) + weight / (_DAMPING + rank)
    best = sorted(scores, key=lambda key: -scores[key])[:limit]
    return [replace(known[key], score=round(scores[key], 6)) for key in best]
