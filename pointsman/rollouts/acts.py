"""Moves a rollout from stage to stage, each step in one transaction with its audit record."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from pointsman.audit import Action, AuditEntry
from pointsman.catalog import Catalog, diff
from pointsman.catalog_history import Author, audit_records, catalog_json, kept_record, parse_catalog
from pointsman.definitions.checks import contradictions
from pointsman.envelope import Record
from pointsman.errors import InvalidDefinitionsError, RefusedError
from pointsman.publish import planned
from pointsman.rollouts.model import Arm, RampStep, Rollout, Rule, Stage, Version
from pointsman.rollouts.topic import RolloutTopic
from pointsman.topics import ALL, AUDIT, CATALOGS, DEFINITIONS, SHADOW_DECISIONS, Topic, inbox_topic

SUBJECT_PREFIX: Final = "rollouts/"
"""How the subject of an audit record about a rollout begins."""
LEAD_MS: Final = 2_000
"""A new share counts for workflows that begin that much later: every instance of the job knows of it by then."""

_TOPICS: Final = frozenset({DEFINITIONS, CATALOGS, AUDIT, SHADOW_DECISIONS})


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What somebody wants to try.

    Attributes:
        name: what it is called.
        candidate: what is tried; what it leaves out is as it is.
        stage: how it begins.
        percent: share of the workflows, in percent.
        rule: when it is given up.
    """

    name: str
    candidate: Version
    stage: Stage
    percent: int
    rule: Rule


def started(plan: Plan, in_force: Catalog, before: Rollout | None, author: Author) -> Rollout:
    """The rollout that `plan` begins.

    Raises:
        RefusedError: another one is under way, or the plan changes nothing, or an agent without giving it a version.
    """
    if before is not None and before.stage.is_active:
        raise RefusedError(f"the rollout {before.id} is under way", "promote or abort it first")
    baseline = _in_force(before)
    candidate = replace(
        plan.candidate,
        model=plan.candidate.model or baseline.model,
        prompt=plan.candidate.prompt or baseline.prompt,
        inboxes=_own_inboxes(plan.candidate, in_force),
    )
    is_same_catalog = plan.candidate.agents is None or not diff(in_force, parse_catalog(plan.candidate.agents))
    if is_same_catalog and (candidate.model, candidate.prompt) == (baseline.model, baseline.prompt):
        raise RefusedError("the candidate is what is in force already", "name another catalog, model or prompt")
    ramp = (_step(author.at, plan.percent),) if plan.stage is Stage.CANARY else ()
    return Rollout(
        id=f"{plan.name}-{author.at:%Y%m%d%H%M%S}",
        stage=plan.stage,
        baseline=baseline,
        candidate=candidate,
        ramp=ramp,
        rule=plan.rule,
        shadow_percent=plan.percent if plan.stage is Stage.SHADOW else 100,
        by=author.by,
        at=author.at,
        started_at=author.at,
    )


def start(topic: RolloutTopic, plan: Plan, author: Author) -> Rollout:
    """Begin a rollout.

    Raises:
        RefusedError: see `started`; nothing was changed.
        BrokerUnavailableError: Kafka does not answer; nothing was changed.
    """
    first = started(plan, topic.load(), topic.rollout(), author)
    topic.ensure_topics([*_own_topics(), *_inboxes(first.candidate.inboxes)])

    def step(before: Rollout | None) -> tuple[Rollout, list[Record]]:
        rollout = started(plan, topic.load(), before, author)
        agents = rollout.candidate.agents
        return rollout, [kept_record(parse_catalog(agents))] if agents is not None else []

    return _moved(topic, step, Action.ROLLOUT_STARTED)


def ramp(topic: RolloutTopic, percent: int, author: Author) -> Rollout:
    """Have the candidate decide for `percent` of the workflows that begin from now on.

    Raises:
        RefusedError: no rollout is under way; nothing was changed.
        BrokerUnavailableError: Kafka does not answer; nothing was changed.
    """

    def step(before: Rollout | None) -> tuple[Rollout, list[Record]]:
        rollout = _active(before)
        steps = (*rollout.ramp, _step(author.at, percent))
        return replace(rollout, stage=Stage.CANARY, ramp=steps, by=author.by, at=author.at, reason=""), []

    return _moved(topic, step, Action.ROLLOUT_RAMPED)


def promote(topic: RolloutTopic, author: Author) -> Rollout:
    """Put the candidate in force; workflows that have begun before finish on what they began with.

    Raises:
        RefusedError: no rollout is under way; nothing was changed.
        InvalidDefinitionsError: a definition contradicts another.
        BrokerUnavailableError: Kafka does not answer; nothing was changed.
    """
    topic.ensure_topics(
        [*_own_topics(), *_inboxes(_promoted(topic.load(), topic.rollout(), author)[0].baseline.inboxes)]
    )
    return _moved(topic, lambda before: _promoted(topic.load(), before, author), Action.ROLLOUT_PROMOTED)


def end(
    topic: RolloutTopic, rollout_id: str | None, author: Author, reason: str, stage: Stage = Stage.ABORTED
) -> Rollout:
    """Give the candidate up: from now on what was in force before decides, for its workflows as well.

    Args:
        topic: where it lives.
        rollout_id: the rollout that is meant; None is the one under way.
        author: who does it.
        reason: why.
        stage: `ABORTED`, or `ROLLED_BACK` when its rule did it.

    Raises:
        RefusedError: that rollout is not under way; nothing was changed.
        BrokerUnavailableError: Kafka does not answer; nothing was changed.
    """

    def step(before: Rollout | None) -> tuple[Rollout, list[Record]]:
        rollout = _active(before)
        if rollout_id is not None and rollout.id != rollout_id:
            raise RefusedError(f"the rollout {rollout_id} is not under way")
        return replace(rollout, stage=stage, by=author.by, at=author.at, reason=reason), []

    return _moved(topic, step, Action.ROLLOUT_ROLLED_BACK if stage is Stage.ROLLED_BACK else Action.ROLLOUT_ABORTED)


def _moved(
    topic: RolloutTopic, step: Callable[[Rollout | None], tuple[Rollout, list[Record]]], action: Action
) -> Rollout:
    """Read inside the transaction that writes: of two people who do this at the same time one is refused."""
    done: list[Rollout] = []

    def records() -> Iterator[Record]:
        rollout, more = step(topic.rollout())
        done.append(rollout)
        # Before a catalog that goes with it, so that no job has the new catalog and the old rollout.
        yield rollout.to_record()
        yield from more
        yield _audit(rollout, action).to_record()

    topic.publish(records())
    return done[0]


def _promoted(in_force: Catalog, before: Rollout | None, author: Author) -> tuple[Rollout, list[Record]]:
    rollout = _active(before)
    moved = replace(
        rollout,
        stage=Stage.PROMOTED,
        ramp=(*rollout.ramp, _step(author.at, 100)),
        candidate=replace(rollout.candidate, inboxes={}),
        by=author.by,
        at=author.at,
        reason="",
    )
    if rollout.candidate.agents is None:
        return moved, []
    move = planned(in_force, [*parse_catalog(rollout.candidate.agents).definitions.values()], prune=True)
    errors = contradictions([*move.after.definitions.values()])
    if errors:
        raise InvalidDefinitionsError(errors)
    changed = {name: in_force.definitions[name].version for name in move.changes.changed}
    previous = replace(rollout.baseline, agents=catalog_json(in_force), inboxes=changed)
    catalogs = [kept_record(catalog) for catalog in (move.before, move.after) if catalog.definitions]
    published = [*move.after.records(move.before), *catalogs, *audit_records(move.before, move.after, author)]
    return replace(moved, baseline=previous, catalog_sequence=move.after.sequence), published if move.changes else []


def _in_force(before: Rollout | None) -> Version:
    """What the rollout before has left in force, beside the catalog."""
    if before is None:
        return Version()
    left = before.candidate if before.stage is Stage.PROMOTED else before.baseline
    return Version(model=left.model, prompt=left.prompt)


def _own_inboxes(candidate: Version, in_force: Catalog) -> dict[str, str]:
    if candidate.agents is None:
        return {}
    catalog = parse_catalog(candidate.agents)
    changes = diff(in_force, catalog)
    for name in changes.changed:
        if catalog.definitions[name].version == in_force.definitions[name].version:
            remedy = (
                "give its definition another version: both stand side by side, and messages name the one they are for"
            )
            raise RefusedError(f"the candidate changes the agent {name} and keeps its version", remedy)
    return {name: catalog.definitions[name].version for name in (*changes.added, *changes.changed)}


def _active(rollout: Rollout | None) -> Rollout:
    if rollout is None or not rollout.stage.is_active:
        raise RefusedError("no rollout is under way", "`pointsman rollout start` begins one")
    return rollout


def _step(at: datetime, percent: int) -> RampStep:
    return RampStep(at_ms=int(at.timestamp() * 1000) + LEAD_MS, percent=percent)


def _audit(rollout: Rollout, action: Action) -> AuditEntry:
    details: dict[str, Any] = {
        "stage": rollout.stage.value,
        "percent": rollout.shadow_percent if rollout.stage is Stage.SHADOW else rollout.percent,
        "reason": rollout.reason,
        "model": rollout.candidate.model,
        "has_prompt": rollout.candidate.prompt is not None,
        "catalog": parse_catalog(rollout.candidate.agents).version if rollout.candidate.agents else None,
        "releases": [rollout.release(arm) for arm in Arm],
    }
    return AuditEntry(
        action=action, subject=f"{SUBJECT_PREFIX}{rollout.id}", by=rollout.by, at=rollout.at, details=details
    )


def _inboxes(versions: Mapping[str, str]) -> Iterable[Topic]:
    return [inbox_topic(name, version=version) for name, version in versions.items()]


def _own_topics() -> list[Topic]:
    return [topic for topic in ALL if topic.name in _TOPICS]
