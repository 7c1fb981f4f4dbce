"""Of many candidates, the few whose words are nearest to the message's: a model reads these and no other.

A prompt of 500 agents costs sixty times the tokens of one of five. Okapi BM25 (Robertson and Walker, 1994) over what
each definition says of itself, worked out once per catalog; to rank for a message is some hundred look-ups. Pure, and
the same on every machine.
"""

from __future__ import annotations

import heapq
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Final

from pointsman.definitions.keywords import subschemas
from pointsman.definitions.model import AgentDefinition
from pointsman.envelope import Payload

_WORD: Final = re.compile(r"[^\W_]{2,}")
_STEM_CHARS: Final = 5
"""So many first letters make one of `invoice`, `invoices` and `invoiced`; good enough for most languages."""
_MAX_CHARS: Final = 2000
_MAX_VALUES: Final = 200
_MAX_DEPTH: Final = 6
_K1: Final = 1.2
_B: Final = 0.75
_TOO_COMMON: Final = 0.5
"""A word that more than this share of all agents use says nothing about any of them."""


class Shortlist:
    """Ranks agents by how near their definitions are to a message.

    Args:
        definitions: the agents, by name.
    """

    def __init__(self, definitions: Mapping[str, AgentDefinition]) -> None:
        self._weights = _weights({name: Counter(_stems(_said_by(each))) for name, each in definitions.items()})

    def nearest(self, names: Sequence[str], payload: Payload, most: int) -> tuple[str, ...]:
        """The `most` of `names` that are nearest to `payload`, sorted by name; all of them where there are no more.

        Those without a word in common come last, by name: the model is shown `most` of them in any case.
        """
        if len(names) <= most:
            return tuple(sorted(names))
        allowed = frozenset(names)
        scores: dict[str, float] = {}
        for word in dict.fromkeys(_stems(_texts(payload))):
            for name, weight in self._weights.get(word, ()):
                scores[name] = scores.get(name, 0.0) + weight
        found = _highest({name: score for name, score in scores.items() if name in allowed}, most)
        if len(found) < most:
            found |= set(islice((name for name in sorted(names) if name not in found), most - len(found)))
        return tuple(sorted(found))


def _highest(scores: Mapping[str, float], most: int) -> set[str]:
    """The names of the `most` highest scores, of equal ones those that come first by name."""
    least = heapq.nlargest(most, scores.values())[-1:]
    # Few reach the least of them, and only these are compared with their names.
    reached = sorted((-score, name) for name, score in scores.items() if score >= least[0])
    return {name for _, name in reached[:most]}


def _weights(counts: Mapping[str, Counter[str]]) -> dict[str, list[tuple[str, float]]]:
    """For each word the agents that use it, and what it counts for each of them."""
    users: dict[str, list[str]] = {}
    for name in sorted(counts):
        for word in counts[name]:
            users.setdefault(word, []).append(name)
    mean = sum(each.total() for each in counts.values()) / max(1, len(counts))
    return {
        word: [(name, _bm25(counts[name], word, len(names), len(counts), mean)) for name in names]
        for word, names in users.items()
        if len(names) <= max(1.0, len(counts) * _TOO_COMMON)
    }


def _bm25(words: Counter[str], word: str, users: int, agents: int, mean: float) -> float:
    rarity = math.log(1 + (agents - users + 0.5) / (users + 0.5))
    often = words[word]
    return rarity * often * (_K1 + 1) / (often + _K1 * (1 - _B + _B * words.total() / mean))


def _said_by(definition: AgentDefinition) -> Iterator[str]:
    yield definition.name
    yield definition.description
    yield from definition.examples
    for entry in definition.accepts:
        for _, schema in subschemas(entry.contract):
            described = schema.get("description")
            yield described if isinstance(described, str) else ""
            fields = schema.get("properties")
            yield from fields if isinstance(fields, dict) else ()


def _stems(texts: Iterable[str]) -> Iterator[str]:
    for text in texts:
        for word in _WORD.findall(text.casefold()):
            yield word[:_STEM_CHARS]


def _texts(value: Any) -> Iterator[str]:
    """Names and texts in a value, a bounded number of them and of their characters."""
    waiting, left = [(value, 0)], _MAX_CHARS
    for _ in range(_MAX_VALUES):
        if not waiting or left <= 0:
            return
        inner, depth = waiting.pop()
        if isinstance(inner, str):
            yield inner[:left]
            left -= len(inner)
        elif depth >= _MAX_DEPTH:
            continue
        elif isinstance(inner, dict):
            yield from (name[:_MAX_CHARS] for name in list(inner)[:_MAX_VALUES])
            waiting += [(each, depth + 1) for each in reversed(list(inner.values())[:_MAX_VALUES])]
        elif isinstance(inner, list):
            waiting += [(each, depth + 1) for each in reversed(inner[:_MAX_VALUES])]
