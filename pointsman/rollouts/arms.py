"""The routers of both sides of a rollout, and which of them decides on a message. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from pointsman.catalog import Catalog
from pointsman.catalog_history import parse_catalog
from pointsman.envelope import Record
from pointsman.rollouts.model import Arm, Rollout, Stage, Version
from pointsman.routing.local_choice import LocalChooser
from pointsman.routing.router import Router, RoutingOptions


@dataclass(frozen=True, kw_only=True)
class Side:
    """One side of a rollout, or the only one where there is none.

    Attributes:
        router: decides.
        release: what its messages and decisions are marked with; empty where only one side decides.
        inboxes: agents that get its messages in an inbox of their own, with their version.
    """

    router: Router
    release: str = ""
    inboxes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Arms:
    """Who decides.

    Attributes:
        baseline: the side of every workflow that is not the candidate's.
        candidate: what is tried; None where nothing is.
        rollout: the rollout, if there is one.
    """

    baseline: Side
    candidate: Side | None = None
    rollout: Rollout | None = None

    def side_of(self, record: Record, began_ms: int) -> Side:
        """The side that decides on the message in `record`.

        Args:
            record: the record; without a workflow it is the baseline's.
            began_ms: Kafka's time of its workflow's first message, in milliseconds since 1970.
        """
        if self.rollout is None or self.candidate is None or not self.rollout.stage.has_two_arms:
            return self.baseline
        release = record.headers.get("ce_release", b"").decode(errors="replace")
        workflow = record.headers.get("ce_workflowid", b"").decode(errors="replace")
        is_candidates = self.rollout.arm_of(workflow, began_ms, release) is Arm.CANDIDATE
        return self.candidate if is_candidates else self.baseline

    def shadow_of(self, record: Record) -> Side | None:
        """The side that looks at a copy of `record`, if one does."""
        if self.rollout is None or self.candidate is None or self.rollout.stage is not Stage.SHADOW:
            return None
        workflow = record.headers.get("ce_workflowid", b"").decode(errors="replace")
        return self.candidate if self.rollout.is_shadowed(workflow) else None


def arms(
    in_force: Catalog, options: RoutingOptions, rollout: Rollout | None, local: LocalChooser | None = None
) -> Arms:
    """Both sides, by the catalog in force and the rollout.

    Args:
        in_force: the catalog in force.
        options: how the job was told to route.
        rollout: the rollout, if there is one.
        local: decides without a chat model where it is sure, if there is one.

    Raises:
        PermanentError: a definition in the rollout is none.
    """

    def side(version: Version, arm: Arm) -> Side:
        two = rollout is not None and rollout.stage.has_two_arms
        return Side(
            router=Router(_catalog(version, in_force, rollout), _told(options, version), local),
            release=rollout.release(arm) if rollout and two else "",
            inboxes=version.inboxes if two else {},
        )

    if rollout is None:
        return Arms(baseline=Side(router=Router(in_force, options, local)))
    has_candidate = rollout.stage.is_active or rollout.stage is Stage.PROMOTED
    return Arms(
        baseline=side(rollout.baseline, Arm.BASELINE),
        candidate=side(rollout.candidate, Arm.CANDIDATE) if has_candidate else None,
        rollout=rollout,
    )


def _told(options: RoutingOptions, version: Version) -> RoutingOptions:
    return replace(options, model=version.model or options.model, instructions=version.prompt or options.instructions)


def _catalog(version: Version, in_force: Catalog, rollout: Rollout | None) -> Catalog:
    if version.agents is None:
        return in_force
    is_published = rollout is not None and 0 < rollout.catalog_sequence <= in_force.sequence
    if is_published and rollout is not None and version is rollout.candidate:
        # Since the promotion it is the catalog in force, whatever is applied on top of it.
        return in_force
    own = replace(parse_catalog(version.agents), sequence=in_force.sequence)
    known = {**in_force.retired, **in_force.definitions}
    # What an agent says by the definition of the other side counts here, too: it may have been under way.
    return replace(
        own,
        retired={name: one for name, one in known.items() if name not in own.definitions},
        earlier={**in_force.earlier, **in_force.definitions},
    )
