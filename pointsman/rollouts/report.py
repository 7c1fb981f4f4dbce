"""A rollout and what is counted about it, as the command and the console show it. Pure."""

from __future__ import annotations

from typing import Any

from pointsman.envelope import to_rfc3339
from pointsman.rollouts.counting import Counts, violated
from pointsman.rollouts.model import Arm, Rollout, Stage
from pointsman.rollouts.versions import versions_of


def report(rollout: Rollout, counts: Counts) -> dict[str, Any]:
    """Everything that is known about `rollout`, as a JSON object; no prompt and no definition is in it."""
    candidate = rollout.candidate
    return {
        "id": rollout.id,
        "stage": rollout.stage.value,
        "percent": share_of(rollout),
        "candidate": {
            "model": candidate.model,
            "has_prompt": candidate.prompt is not None,
            "agents": len(candidate.agents) if candidate.agents is not None else None,
        },
        "by": rollout.by,
        "at": to_rfc3339(rollout.at),
        "started_at": to_rfc3339(rollout.started_at),
        "reason": rollout.reason,
        "rule": vars(rollout.rule),
        "releases": {arm.value: rollout.release(arm) for arm in Arm},
        "versions": [{"agent": name, "version": version} for name, version in versions_of(rollout)],
        "violated": violated(rollout, counts),
        "counts": counts.to_json(),
    }


def share_of(rollout: Rollout) -> int:
    """The share of the workflows that the candidate sees, in percent."""
    return rollout.shadow_percent if rollout.stage is Stage.SHADOW else rollout.percent
