"""What a deployment needs to know of the catalog: agents, topics, and who may do what on Kafka.

One principal per agent: it reads its own inbox and what every agent follows, and writes answers, dead letters and
questions to a person. It can neither read another inbox nor write a decision.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from pointsman.definitions import AgentDefinition
from pointsman.topics import (
    ALL,
    CONTROLS,
    DECISIONS,
    DEFINITIONS,
    ERRORS,
    ESCALATIONS,
    LEADS,
    MESSAGES,
    SHADOW_DECISIONS,
    WORKFLOW_STATE,
    Topic,
    inbox,
    inbox_topic,
)

ROUTER: Final = "pointsman-router"
OPERATOR: Final = "pointsman-operator"
CONNECT: Final = "pointsman-connect"

_READ: Final = ("Read", "Describe")
_WRITE: Final = ("Write", "Describe")
_EVERYTHING: Final = ("Read", "Write", "Create", "Describe", "DescribeConfigs")
_INBOXES: Final = "agents."
_HEARTBEATS: Final = "__mongodb_heartbeats"


@dataclass(frozen=True, kw_only=True)
class Acl:
    """One rule that allows something on Kafka.

    Attributes:
        type: `topic`, `group`, `transactionalId` or `cluster`.
        name: of the resource, or how its name begins.
        pattern: `literal` or `prefix`.
        operations: what is allowed.
    """

    type: str
    name: str
    operations: tuple[str, ...]
    pattern: str = "literal"


def agent_user(agent: str) -> str:
    """Name of the Kafka user of an agent; Kubernetes allows no underscores."""
    return f"agent-{agent.replace('_', '-')}"


def agent_acls(agent: str) -> list[Acl]:
    """What an agent may do."""
    return [
        *(Acl(type="topic", name=name, operations=_READ) for name in (inbox(agent), DEFINITIONS, CONTROLS)),
        # Of a version that stands beside the one in force.
        Acl(type="topic", name=f"agents.{agent}.v", pattern="prefix", operations=_READ),
        Acl(type="group", name=f"agents.{agent}.v", pattern="prefix", operations=_READ),
        *(Acl(type="topic", name=name, operations=_WRITE) for name in (MESSAGES, ERRORS, ESCALATIONS)),
        Acl(type="group", name=f"agents.{agent}", operations=_READ),
        Acl(type="transactionalId", name=f"pointsman.{agent}.", pattern="prefix", operations=_WRITE),
    ]


def router_acls() -> list[Acl]:
    """What the router job may do."""
    written = (MESSAGES, DECISIONS, ESCALATIONS, ERRORS, WORKFLOW_STATE, SHADOW_DECISIONS)
    return [
        *(Acl(type="topic", name=name, operations=_READ) for name in (LEADS, MESSAGES, DEFINITIONS)),
        *(Acl(type="topic", name=name, operations=_WRITE) for name in written),
        Acl(type="topic", name=_INBOXES, pattern="prefix", operations=_WRITE),
        Acl(type="group", name=ROUTER, operations=_READ),
        Acl(type="transactionalId", name=ROUTER, pattern="prefix", operations=_WRITE),
    ]


def operator_acls() -> list[Acl]:
    """What people may do with the command and the console: apply, resume, redrive, stop effects, look at everything."""
    return [
        *(Acl(type="topic", name=topic.name, operations=_EVERYTHING) for topic in ALL),
        Acl(type="topic", name=_INBOXES, pattern="prefix", operations=_EVERYTHING),
        Acl(type="group", name="*", operations=("Describe",)),
        Acl(type="transactionalId", name="pointsman.", pattern="prefix", operations=_WRITE),
    ]


def connect_acls() -> list[Acl]:
    """What the MongoDB source may do."""
    return [
        *(Acl(type="topic", name=name, operations=("Write", "Create", "Describe")) for name in (LEADS, _HEARTBEATS)),
        Acl(type="topic", name=CONNECT, pattern="prefix", operations=_EVERYTHING),
        Acl(type="group", name=CONNECT, pattern="prefix", operations=_READ),
        # The workers' own transactions are called connect-cluster-<group>.
        *(
            Acl(type="transactionalId", name=name, pattern="prefix", operations=_WRITE)
            for name in (CONNECT, f"connect-cluster-{CONNECT}")
        ),
    ]


def helm_values(definitions: Iterable[AgentDefinition]) -> dict[str, Any]:
    """The catalog as the chart reads it (`docker/helm/pointsman/catalog.yaml`): agents, topics, Kafka users."""
    agents = sorted(definitions, key=lambda one: one.name)
    inboxes = [inbox_topic(one.name) for one in agents]
    users = {
        ROUTER: router_acls(),
        OPERATOR: operator_acls(),
        CONNECT: connect_acls(),
        **{agent_user(one.name): agent_acls(one.name) for one in agents},
    }
    return {
        "agents": [
            {
                "name": one.name,
                "inbox": topic.name,
                "group": f"agents.{one.name}",
                "partitions": topic.partitions,
                "inFlight": one.limits.in_flight,
            }
            for one, topic in zip(agents, inboxes, strict=True)
        ],
        "topics": [_topic(topic) for topic in (*ALL, *inboxes)],
        "users": [{"name": name, "acls": [_acl(acl) for acl in acls]} for name, acls in users.items()],
    }


def _topic(topic: Topic) -> dict[str, Any]:
    return {"name": topic.name, "partitions": topic.partitions, "config": dict(topic.config)}


def _acl(acl: Acl) -> dict[str, Any]:
    return {**asdict(acl), "operations": list(acl.operations)}
