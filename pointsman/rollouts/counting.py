"""How the sides of a rollout do, counted from the decision log, the shadow decisions and the dead letters. Pure."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pointsman.deadletters import PREFIX
from pointsman.decision_log import parsed_object
from pointsman.envelope import Record
from pointsman.rollouts.model import Arm, Rollout, Rule, Stage
from pointsman.topics import DECISIONS, ERRORS, SHADOW_DECISIONS

FED_BY: Final = (DECISIONS, SHADOW_DECISIONS, ERRORS)
_MOST_ROLLOUTS: Final = 4
_MOST_DIFFERENCES: Final = 50
_MARK: Final = b'"release":"'


@dataclass(kw_only=True)
class Tally:
    """What one side has decided.

    Attributes:
        decisions: how many messages.
        abstained: of those, left to a person.
        errors: of those, refused; and dead letters of the agents that got them.
        targets: how many went where: an agent, or an outcome.
    """

    decisions: int = 0
    abstained: int = 0
    errors: int = 0
    targets: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """A message on which the two sides differ.

    Attributes:
        message_id: the message.
        workflow_id: its workflow.
        event_type: its type.
        live: where it went.
        shadow: where the candidate would have sent it.
    """

    message_id: str
    workflow_id: str
    event_type: str
    live: str
    shadow: str


@dataclass(kw_only=True)
class Counts:
    """Everything that is counted about one rollout.

    Attributes:
        arms: what each side has decided where both decide.
        shadow: what the candidate has decided on copies.
        disagreed: how many of those went another way.
        skipped: messages that it did not look at, because it was busy.
        pairs: where messages went, and where the candidate would have sent them.
        differences: the latest messages on which they differ.
    """

    arms: Mapping[Arm, Tally] = field(default_factory=lambda: {arm: Tally() for arm in Arm})
    shadow: Tally = field(default_factory=Tally)
    disagreed: int = 0
    skipped: int = 0
    pairs: Counter[tuple[str, str]] = field(default_factory=Counter)
    differences: deque[Seen] = field(default_factory=lambda: deque(maxlen=_MOST_DIFFERENCES))

    def to_json(self) -> dict[str, Any]:
        """The counts as a JSON object."""
        return {
            "arms": {arm.value: _plain(tally) for arm, tally in self.arms.items()},
            "shadow": {
                **_plain(self.shadow),
                "disagreed": self.disagreed,
                "skipped": self.skipped,
                "pairs": [
                    {"live": live, "shadow": shadow, "count": n} for (live, shadow), n in self.pairs.most_common()
                ],
                "differences": [{**vars(one)} for one in reversed(self.differences)],
            },
        }


class RolloutCounts:
    """Counts by rollout; of the latest few only."""

    def __init__(self) -> None:
        self._counts: dict[str, Counts] = {}

    def of(self, rollout_id: str) -> Counts:
        """What is counted about that rollout."""
        return self._counts.get(rollout_id) or Counts()

    def feed(self, record: Record) -> str | None:
        """Take one record over; the id of the rollout that it counts for, if it does."""
        release = _release(record)
        rollout_id, _, arm = release.rpartition("/")
        if not rollout_id or arm not in set(Arm):
            return None
        counts = self._counts.setdefault(rollout_id, Counts())
        if len(self._counts) > _MOST_ROLLOUTS:
            del self._counts[next(iter(self._counts))]
        if record.topic == SHADOW_DECISIONS:
            _count_shadow(counts, parsed_object(record.value))
        elif record.topic == DECISIONS:
            _count(counts.arms[Arm(arm)], parsed_object(record.value))
        else:
            counts.arms[Arm(arm)].errors += 1
        return rollout_id


def violated(rollout: Rollout, counts: Counts) -> str | None:
    """Why the candidate is to be given up by the rollout's rule; None while it is not."""
    if not rollout.stage.is_active:
        return None
    in_shadow = rollout.stage is Stage.SHADOW
    tally = counts.shadow if in_shadow else counts.arms[Arm.CANDIDATE]
    rule = rollout.rule
    # A dead letter that an agent wrote long after the decision counts as soon as it is there.
    if tally.decisions < rule.min_decisions:
        return None
    return next(
        filter(None, (_over(name, limit, count, tally) for name, limit, count in _rates(rule, tally, counts))), None
    )


def target(outcome: Any, agent: Any) -> str:
    """Where a message goes, in one word."""
    return str(agent or outcome)


def _rates(rule: Rule, tally: Tally, counts: Counts) -> tuple[tuple[str, float | None, int], ...]:
    return (
        ("error rate", rule.error_rate, tally.errors),
        ("abstain rate", rule.abstain_rate, tally.abstained),
        ("disagreement", rule.disagreement if tally is counts.shadow else None, counts.disagreed),
    )


def _over(name: str, limit: float | None, count: int, tally: Tally) -> str | None:
    rate = count / max(1, tally.decisions)
    if limit is None or rate <= limit:
        return None
    return f"{name} {rate:.3f} of {tally.decisions} decisions is above {limit:g}"


def _release(record: Record) -> str:
    if record.topic in (DECISIONS, SHADOW_DECISIONS):
        # Most entries belong to no rollout: they are not parsed.
        said = parsed_object(record.value).get("release") if _MARK in (record.value or b"") else None
        return said if isinstance(said, str) else ""
    by_agent = record.topic == ERRORS and record.headers.get(f"{PREFIX}stage", b"").startswith(b"agent/")
    # The router's own dead letters are decisions, and counted as such.
    return record.headers.get("ce_release", b"").decode(errors="replace") if by_agent else ""


def _count(tally: Tally, entry: Mapping[str, Any]) -> None:
    tally.decisions += 1
    tally.abstained += entry.get("outcome") == "abstained"
    tally.errors += entry.get("outcome") == "rejected"
    tally.targets[target(entry.get("outcome"), entry.get("agent"))] += 1


def _count_shadow(counts: Counts, entry: Mapping[str, Any]) -> None:
    _count(counts.shadow, entry)
    skipped, live = entry.get("skipped"), entry.get("live")
    counts.skipped += skipped if isinstance(skipped, int) else 0
    before = target(live.get("outcome"), live.get("agent")) if isinstance(live, dict) else "unknown"
    after = target(entry.get("outcome"), entry.get("agent"))
    counts.pairs[before, after] += 1
    if before != after:
        counts.disagreed += 1
        about = {name: str(entry.get(name) or "") for name in ("message_id", "workflow_id", "event_type")}
        counts.differences.append(Seen(**about, live=before, shadow=after))


def _plain(tally: Tally) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(vars(tally)))
    return plain
