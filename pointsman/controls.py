"""Controls: what a person switches for every process at once. There is one, `effects`: the kill switch.

A control is the latest record of its key on the topic `controls`. Where there is none, effects are allowed; where there
is one that cannot be read, they are stopped, since somebody meant something by it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pointsman.audit import Action, AuditEntry
from pointsman.envelope import Record, from_rfc3339, to_rfc3339
from pointsman.topics import CONTROLS

EFFECTS: Final = "effects"

_NEVER: Final = datetime.fromtimestamp(0, UTC)
_STOPPED: Final = "stopped"
_ALLOWED: Final = "allowed"


@dataclass(frozen=True, kw_only=True)
class EffectsControl:
    """Whether effects outside Kafka (mail) may begin.

    Attributes:
        is_allowed: whether they may.
        by: who said so; empty when nobody ever did.
        at: when, UTC.
        reason: why, in that person's words.
    """

    is_allowed: bool
    by: str = ""
    at: datetime = _NEVER
    reason: str = ""

    def records(self) -> list[Record]:
        """The control and its audit record, to be written in one transaction."""
        state = _ALLOWED if self.is_allowed else _STOPPED
        value = json.dumps({EFFECTS: state, "by": self.by, "at": to_rfc3339(self.at), "reason": self.reason})
        action = Action.EFFECTS_STARTED if self.is_allowed else Action.EFFECTS_STOPPED
        entry = AuditEntry(action=action, subject=EFFECTS, by=self.by, at=self.at, details={"reason": self.reason})
        control = Record(topic=CONTROLS, key=EFFECTS.encode(), value=value.encode(), headers={})
        return [control, entry.to_record()]


def is_about_effects(record: Record) -> bool:
    """Whether `record` of `controls` is the kill switch."""
    return record.key == EFFECTS.encode()


def read_effects(record: Record | None) -> EffectsControl:
    """What `record` says; None is the absence of one."""
    if record is None or record.value is None:
        return EffectsControl(is_allowed=True)
    try:
        said = json.loads(record.value)
        return EffectsControl(
            is_allowed=said[EFFECTS] == _ALLOWED,
            by=str(said["by"]),
            at=from_rfc3339(said["at"]),
            reason=str(said.get("reason", "")),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return EffectsControl(is_allowed=False, reason="the control cannot be read")
