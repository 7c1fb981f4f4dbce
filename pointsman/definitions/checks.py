"""Compares definitions with each other: does every event find somebody, can every agent be reached?

A strict `next_agent` rule that cannot work and an accepted event that never reaches an agent are errors. The rest are
warnings, because an agent may wait for events of a producer that is no agent.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import combinations
from typing import Final

from pointsman.definitions.model import AgentDefinition, Emits
from pointsman.definitions.problems import Problem
from pointsman.definitions.source import Path, Source
from pointsman.definitions.words import did_you_mean, nearest
from pointsman.envelope import PLAN_PROPOSED, RESERVED_TYPES

OVERLAP_FROM: Final = 0.6
"""Share of words that two descriptions have in common from which they are told apart badly."""

_TYPO: Final = 0.85
_NO_CONTENT: Final = frozenset({
    "a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "have", "in", "is", "it", "its", "not", "of",
    "on", "one", "or", "that", "the", "their", "them", "this", "to", "when", "who", "with",
})  # fmt: skip


def check(definitions: Sequence[AgentDefinition], sources: Mapping[str, Source] | None = None) -> list[Problem]:
    """What `definitions` show when they are looked at together.

    Args:
        definitions: all that would be in force at the same time.
        sources: their files by agent name, for line and column; an agent without one is named by `agent NAME`.
    """
    errors, doubts = _Places(sources or {}, warning=False), _Places(sources or {}, warning=True)
    return _found_by(_CONTRADICTIONS, definitions, errors) + _found_by(_DOUBTS, definitions, doubts)


def contradictions(definitions: Sequence[AgentDefinition]) -> list[Problem]:
    """The errors alone among what `check` finds: with hundreds of agents the warnings take a second.

    Args:
        definitions: all that would be in force at the same time.
    """
    return _found_by(_CONTRADICTIONS, definitions, _Places({}, warning=False))


def _found_by(finders: Sequence[_Finder], definitions: Sequence[AgentDefinition], places: _Places) -> list[Problem]:
    by_name = {definition.name: definition for definition in sorted(definitions, key=lambda one: one.name)}
    return [problem for finder in finders for problem in finder(by_name, places)]


class _Places:
    def __init__(self, sources: Mapping[str, Source], *, warning: bool) -> None:
        self._sources = sources
        self._warning = warning

    def problem(self, agent: str, path: Path, message: str) -> Problem:
        source = self._sources.get(agent)
        if source:
            return source.problem(source.value_place(path), message, warning=self._warning)
        return Problem(path=f"agent {agent}", message=message, severity="warning" if self._warning else "error")


_Agents = Mapping[str, AgentDefinition]
_Finder = Callable[[_Agents, _Places], Iterator[Problem]]


def _next_agents(agents: _Agents, places: _Places) -> Iterator[Problem]:
    for definition, path, emitted in _emitted(agents):
        rule = emitted.next_agent
        if rule is None:
            continue
        here = (*path, "next_agent")
        if rule not in agents:
            message = f"there is no agent {rule}{did_you_mean(rule, agents)}"
            yield places.problem(definition.name, here, message)
        elif not agents[rule].accepted(emitted.type):
            message = (
                f"{rule} does not accept {emitted.type}; it accepts {', '.join(sorted(_accepted_by(agents[rule])))}"
            )
            yield places.problem(definition.name, here, message)


def _reserved(agents: _Agents, places: _Places) -> Iterator[Problem]:
    for definition in agents.values():
        for index, accepted in enumerate(definition.accepts):
            if accepted.type in RESERVED_TYPES:
                message = f"{accepted.type} is taken by the router job itself and reaches no agent: remove it"
                yield places.problem(definition.name, ("accepts", index, "type"), message)


def _lost_events(agents: _Agents, places: _Places) -> Iterator[Problem]:
    accepted = _accepted_types(agents)
    for definition, path, emitted in _emitted(agents):
        if emitted.terminal or emitted.type in accepted or emitted.type == PLAN_PROPOSED:
            continue
        meant = nearest(emitted.type, accepted, at_least=_TYPO)
        hint = f"did you mean {meant}?" if meant else "write terminal: true if the workflow ends here"
        message = f"nobody accepts {emitted.type}, and it is not terminal: {hint}"
        yield places.problem(definition.name, (*path, "type"), message)


def _terminal_events(agents: _Agents, places: _Places) -> Iterator[Problem]:
    for definition, path, emitted in _emitted(agents):
        takers = [other.name for other in agents.values() if other.accepted(emitted.type)] if emitted.terminal else []
        if takers:
            message = f"{emitted.type} is terminal, yet it is accepted by {', '.join(takers)}: remove one of the two"
            yield places.problem(definition.name, (*path, "terminal"), message)


def _misspelt_entries(agents: _Agents, places: _Places) -> Iterator[Problem]:
    """An accepted type that no agent emits starts a workflow from outside, unless it is nearly an emitted one."""
    emitted = _emitted_types(agents)
    for definition in agents.values():
        for index, accepted in enumerate(definition.accepts):
            if accepted.type in emitted:
                continue
            meant = nearest(accepted.type, emitted, at_least=_TYPO)
            if meant:
                message = f"no agent emits {accepted.type}: did you mean {meant}?"
                yield places.problem(definition.name, ("accepts", index, "type"), message)


def _unreachable(agents: _Agents, places: _Places) -> Iterator[Problem]:
    emitted = _emitted_types(agents)
    reached = {name for name, definition in agents.items() if _accepted_by(definition) - emitted}
    while True:
        arriving = {entry.type for name in reached for entry in agents[name].emits}
        more = {name for name, definition in agents.items() if _accepted_by(definition) & arriving} - reached
        if not more:
            break
        reached |= more
    for name in sorted(agents.keys() - reached):
        message = "no event from outside leads here: what it accepts comes only from itself or from agents like it"
        yield places.problem(name, ("accepts",), message)


def _overlaps(agents: _Agents, places: _Places) -> Iterator[Problem]:
    words = {name: _content_words(definition.description) for name, definition in agents.items()}
    for one, other in combinations(agents, 2):
        shared = len(words[one] & words[other]) / max(1, len(words[one] | words[other]))
        if shared >= OVERLAP_FROM:
            message = f"the description shares {shared:.0%} of its words with that of {one}: say what tells them apart"
            yield places.problem(other, ("description",), message)


def _emitted(agents: _Agents) -> Iterator[tuple[AgentDefinition, Path, Emits]]:
    for definition in agents.values():
        for index, entry in enumerate(definition.emits):
            yield definition, ("emits", index), entry


def _emitted_types(agents: _Agents) -> set[str]:
    return {entry.type for _, _, entry in _emitted(agents)}


def _accepted_types(agents: _Agents) -> set[str]:
    return {accepted for definition in agents.values() for accepted in _accepted_by(definition)}


def _accepted_by(definition: AgentDefinition) -> set[str]:
    return {entry.type for entry in definition.accepts}


def _content_words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower())) - _NO_CONTENT


_CONTRADICTIONS: Final[Sequence[_Finder]] = (_next_agents, _reserved)
_DOUBTS: Final[Sequence[_Finder]] = (_lost_events, _terminal_events, _misspelt_entries, _unreachable, _overlaps)
