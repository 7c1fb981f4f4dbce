"""A proposal as lines, as a JSON object and as an HTML page. No message's text is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.resources import files
from typing import Any

import jinja2

from pointsman.evaluation.logged_threshold import ChatThreshold
from pointsman.evaluation.thresholds import FEWEST
from pointsman.local_model.model import NEVER_SURE
from pointsman.local_model.proposing import Beside, Proposal, Replayed, Score

_NONE = "-"


def proposal_lines(proposal: Proposal, sources: Mapping[str, int], chat: ChatThreshold | None = None) -> Iterator[str]:
    """The proposal in lines, the verdict last.

    Args:
        proposal: the proposal.
        sources: how many labels come from where.
        chat: what the log says about the chat model's threshold; None when nobody looked.
    """
    yield f"proposed: local model {proposal.after.model.version}, {_in_force(proposal)}"
    yield f"trained on {proposal.messages} messages that leave a choice; labels: {_sources(sources)}"
    for title, rows in tables(proposal):
        yield f"{title}:"
        yield f"  {'':<44} {'in force':>16} {'proposed':>16}"
        yield from (f"  {name:<44} {before:>16} {after:>16}" for name, before, after in rows)
    if proposal.changed:
        changed = proposal.changed
        yield f"of the {proposal.messages} labelled messages it would treat {changed.total} otherwise:"
        yield f"  acts where a model was asked: {changed.newly_sure}; asks where it acted: {changed.no_longer_sure}"
        yield f"  another agent: {changed.other_agent}"
    if chat:
        yield from _chat_lines(chat)
    yield proposal.verdict


def proposal_data(proposal: Proposal, sources: Mapping[str, int], chat: ChatThreshold | None = None) -> dict[str, Any]:
    """The proposal for programs; arguments as for `proposal_lines`."""
    return {
        "is_better": proposal.is_better,
        "verdict": proposal.verdict,
        "accuracy": proposal.accuracy,
        "messages": proposal.messages,
        "new_to_the_model_in_force": proposal.unseen,
        "sources": dict(sources),
        "in_force": _beside_data(proposal.before) if proposal.before else None,
        "proposed": _beside_data(proposal.after),
        "changed": asdict(proposal.changed) if proposal.changed else None,
        "chat_model": {**asdict(chat), "option": chat.option} if chat else None,
    }


def proposal_page(proposal: Proposal, sources: Mapping[str, int], chat: ChatThreshold | None = None) -> str:
    """The proposal as one page that needs nothing beside itself; arguments as for `proposal_lines`."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string((files(__package__) / "proposal.html").read_text(encoding="utf-8"))
    return template.render(
        proposal=proposal, tables=list(tables(proposal)), in_force=_in_force(proposal), sources=_sources(sources),
        chat=list(_chat_lines(chat)) if chat else [],
    )  # fmt: skip


def tables(proposal: Proposal) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """Each table of the report: its title, and rows of what, in force, proposed."""
    before, after = proposal.before, proposal.after
    if after.unseen:
        title = f"on {after.unseen.messages} messages that neither has seen"
        yield title, _beside_rows(_score_cells(before.unseen if before else None), _score_cells(after.unseen))
    if after.replayed:
        title = f"decisions of the log that needed a judgement, made again: {after.replayed.decisions}"
        yield title, _beside_rows(_replay_cells(before.replayed if before else None), _replay_cells(after.replayed))
    types = sorted(set(after.model.thresholds) | set(before.model.thresholds if before else ()))
    yield (
        "acts from (how sure it must be)",
        [(name, _threshold(before, name), _threshold(after, name)) for name in types],
    )


def _beside_rows(before: dict[str, str], after: dict[str, str]) -> list[tuple[str, str, str]]:
    return [(name, before.get(name, _NONE), told) for name, told in after.items()]


def _score_cells(score: Score | None) -> dict[str, str]:
    if score is None:
        return {}
    acts = score.right + score.wrong
    share = f" ({score.right / acts:.1%})" if acts else ""
    return {
        "acts on": f"{acts} ({acts / score.messages:.1%})",
        "right, of those": f"{score.right}{share}",
        "wrong, of those": str(score.wrong),
    }


def _replay_cells(found: Replayed | None) -> dict[str, str]:
    if found is None:
        return {}
    return {
        "acts on": str(found.acts),
        "who got the message, too": str(found.same),
        "another agent": str(found.other),
        "an agent, where a person was asked": str(found.escalated),
        "answers of a chat model not needed": str(found.calls_saved),
        "was trained on, of these messages": str(found.seen),
    }


def _threshold(beside: Beside | None, event_type: str) -> str:
    if beside is None:
        return _NONE
    threshold = beside.model.thresholds.get(event_type, NEVER_SURE)
    return "never" if threshold > 1 else f"{threshold:.3f}"


def _beside_data(beside: Beside) -> dict[str, Any]:
    return {
        "version": beside.model.version,
        "thresholds": dict(beside.model.thresholds),
        "unseen": asdict(beside.unseen) if beside.unseen else None,
        "replayed": asdict(beside.replayed) if beside.replayed else None,
        "held_out": beside.model.facts.get("held_out"),
    }


def _chat_lines(chat: ChatThreshold) -> Iterator[str]:
    counted = f"{chat.choices} choices of the log, {chat.by_word} with somebody's word"
    if chat.option is None:
        yield f"how sure the chat model must be: too little to tell, {counted} ({FEWEST} are needed)"
        return
    yield f"how sure the chat model must be: --confidence {chat.option} (from {counted})"
    if beyond := [each.agent or "all others" for each in chat.found if each.threshold is None]:
        yield f"  no threshold reaches the share for {', '.join(beyond)}: 1.000 still acts where two answers agree"
    yield "  what it would have changed, on choices that it was not chosen on:"
    yield f"  to a person instead of an agent: {chat.stopped.total}, of them right: {chat.stopped.right}"
    yield f"  to an agent instead of a person: {chat.released.total}, of them right: {chat.released.right}"


def _in_force(proposal: Proposal) -> str:
    return f"in force: {proposal.before.model.version}" if proposal.before else "none in force"


def _sources(sources: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(sources.items())) or "none"
