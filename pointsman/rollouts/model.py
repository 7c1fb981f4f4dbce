"""One rollout as it travels: a record beside the catalog on `agent_definitions`, under a key of its own. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from pointsman.catalog import ROLLOUT_KEY
from pointsman.envelope import Record, from_rfc3339, to_rfc3339
from pointsman.errors import ErrorReason, PermanentError
from pointsman.topics import DEFINITIONS

_BUCKETS: Final = 10_000


class Stage(StrEnum):
    """How far a rollout is."""

    SHADOW = "shadow"
    """The candidate decides on a copy; nothing that it decides is acted on."""
    CANARY = "canary"
    """It decides for its share of the workflows."""
    PROMOTED = "promoted"
    """It decides for every workflow that has begun since; those before finish on what they began with."""
    ABORTED = "aborted"
    ROLLED_BACK = "rolled_back"
    """As aborted, by the rollout's own rule."""

    @property
    def is_active(self) -> bool:
        """Whether the candidate is still being tried."""
        return self in (Stage.SHADOW, Stage.CANARY)

    @property
    def has_two_arms(self) -> bool:
        """Whether two versions decide side by side."""
        return self in (Stage.CANARY, Stage.PROMOTED)


class Arm(StrEnum):
    """The two sides of a rollout."""

    BASELINE = "baseline"
    CANDIDATE = "candidate"


@dataclass(frozen=True, kw_only=True)
class Version:
    """What decides on one side.

    Attributes:
        model: the model that routes; None leaves it to the job.
        prompt: the router's instructions to the model; None is its own.
        agents: the definitions, as `pointsman.catalog_history.catalog_json` writes them; None is the catalog in force.
        inboxes: agents that get its messages in an inbox of their own, by name, with their version.
    """

    model: str | None = None
    prompt: str | None = None
    agents: Mapping[str, Any] | None = None
    inboxes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class RampStep:
    """From `at_ms` on, in milliseconds since 1970, `percent` of the workflows that begin belong to the candidate."""

    at_ms: int
    percent: int


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When the candidate is given up without a person. A rate that is None does not count.

    Attributes:
        min_decisions: decisions of the candidate before anything is judged.
        error_rate: dead letters of its decisions and of their agents, by decision.
        abstain_rate: messages that it leaves to a person, by decision.
        disagreement: in shadow: decisions that differ from those that were acted on.
    """

    min_decisions: int = 20
    error_rate: float | None = None
    abstain_rate: float | None = None
    disagreement: float | None = None


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """One rollout.

    Attributes:
        id: its name and the time at which it was started.
        stage: how far it is.
        baseline: what decided before.
        candidate: what is tried.
        ramp: shares of the candidate, in the order of their times.
        rule: when it is given up.
        shadow_percent: share of the workflows that are looked at in shadow.
        catalog_sequence: sequence of the catalog that the promotion has published; 0 before it.
        by: who took the latest step.
        at: when, UTC.
        started_at: when the rollout was started, UTC.
        reason: why it stands where it stands, if anybody said so.
    """

    id: str
    stage: Stage
    baseline: Version
    candidate: Version
    ramp: tuple[RampStep, ...] = ()
    rule: Rule = field(default=Rule())
    shadow_percent: int = 100
    catalog_sequence: int = 0
    by: str
    at: datetime
    started_at: datetime
    reason: str = ""

    @property
    def percent(self) -> int:
        """The candidate's latest share."""
        return self.ramp[-1].percent if self.ramp else 0

    def release(self, arm: Arm) -> str:
        """What messages and the decision log call that side of this rollout."""
        return f"{self.id}/{arm.value}"

    def arm_of(self, workflow_id: str, began_ms: int, release: str | None = None) -> Arm:
        """Which side decides for a workflow. The same for its whole life, however the share changes.

        Args:
            workflow_id: the workflow.
            began_ms: Kafka's time of its first message, in milliseconds since 1970.
            release: the side that decided on the message before, as the message says.
        """
        if not self.stage.has_two_arms:
            return Arm.BASELINE
        named = next((arm for arm in Arm if release == self.release(arm)), None)
        if named is not None:
            return named
        percent = next((step.percent for step in reversed(self.ramp) if step.at_ms <= began_ms), 0)
        return Arm.CANDIDATE if self._bucket(workflow_id) < percent * _BUCKETS // 100 else Arm.BASELINE

    def is_shadowed(self, workflow_id: str) -> bool:
        """Whether the candidate looks at a copy of that workflow's messages."""
        return self.stage is Stage.SHADOW and self._bucket(workflow_id) < self.shadow_percent * _BUCKETS // 100

    def _bucket(self, workflow_id: str) -> int:
        # With the rollout's id in it: otherwise the same workflows would be tried upon every time.
        octets = f"{self.id}\x1f{workflow_id}".encode(errors="surrogatepass")
        return int.from_bytes(hashlib.sha256(octets).digest()[:8]) % _BUCKETS

    def to_record(self) -> Record:
        """This rollout as a record for `agent_definitions`."""
        value = json.dumps({**asdict(self), "at": to_rfc3339(self.at), "started_at": to_rfc3339(self.started_at)})
        headers = {"content-type": b"application/json"}
        return Record(topic=DEFINITIONS, key=ROLLOUT_KEY.encode(), value=value.encode(), headers=headers)


def read_rollout(record: Record) -> Rollout | None:
    """The rollout in `record`; None when it is about something else.

    Raises:
        PermanentError: it should hold one and does not.
    """
    if record.topic != DEFINITIONS or record.key != ROLLOUT_KEY.encode() or record.value is None:
        return None
    return parse_rollout(record.value)


def parse_rollout(value: bytes) -> Rollout:
    """Read what `Rollout.to_record` wrote.

    Raises:
        PermanentError: it is no rollout.
    """
    try:
        said = json.loads(value)
        return Rollout(
            **{
                **said,
                "stage": Stage(said["stage"]),
                "baseline": Version(**said["baseline"]),
                "candidate": Version(**said["candidate"]),
                "ramp": tuple(RampStep(**step) for step in said["ramp"]),
                "rule": Rule(**said["rule"]),
                "at": from_rfc3339(said["at"]),
                "started_at": from_rfc3339(said["started_at"]),
            }
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        raise PermanentError(ErrorReason.INVALID_DEFINITION, "the rollout is not readable") from None


def latest_rollout(records: Iterable[Record]) -> Rollout | None:
    """The last rollout in `records`; None when there never was one. What cannot be read is passed over."""
    found = None
    for record in records:
        try:
            found = read_rollout(record) or found
        except PermanentError:
            continue
    return found
