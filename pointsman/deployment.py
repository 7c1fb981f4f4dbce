"""What a deployment needs to know of the catalog: agents, topics, and who may do what on Kafka.

One principal per agent: it reads its own inbox and what every agent follows, and writes answers, dead letters and
questions to a person. It can neither read another inbox nor write a decision. The Helm chart (`helm_values`) and the
secure local stack (`kafka_users`) take the same rules from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from pointsman.archive.options import ARCHIVE_JOB, ARCHIVED
from pointsman.definitions import AgentDefinition
from pointsman.telemetry.system_state import TOPICS as SYSTEM_TOPICS
from pointsman.topics import (
    ALL,
    CONTROLS,
    DECISIONS,
    DEFINITIONS,
    ERRORS,
    ESCALATIONS,
    LEADS,
    MESSAGES,
    READERS,
    SHADOW_DECISIONS,
    WORKFLOW_STATE,
    Topic,
    inbox,
    inbox_topic,
)

ROUTER: Final = "pointsman-router"
OPERATOR: Final = "pointsman-operator"
CONNECT: Final = "pointsman-connect"
ARCHIVER: Final = ARCHIVE_JOB
CONSOLE: Final = "pointsman-console"
SWEEPER: Final = "pointsman-sweeper"
METRICS: Final = "pointsman-metrics"

_READ: Final = ("Read", "Describe")
_WRITE: Final = ("Write", "Describe")
_LOOK: Final = ("Describe",)
_EVERYTHING: Final = ("Read", "Write", "Create", "Describe", "DescribeConfigs")
_CLUSTER: Final = "kafka-cluster"
_INBOXES: Final = "agents."
# The router's alone, whoever else may write much.
_DECIDED: Final = (DECISIONS, ESCALATIONS, WORKFLOW_STATE)
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
        _follows(),
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


def archive_acls() -> list[Acl]:
    """What the archive job may do: it only reads."""
    return [
        *(Acl(type="topic", name=name, operations=_READ) for name in ARCHIVED),
        Acl(type="group", name=ARCHIVER, operations=_READ),
    ]


def operator_acls() -> list[Acl]:
    """What people may do with the command: apply, resume, redrive, stop effects, rebuild, look at everything."""
    everything = (*_EVERYTHING, "AlterConfigs")  # retention
    return [
        *(Acl(type="topic", name=topic.name, operations=everything) for topic in ALL),
        Acl(type="topic", name=_INBOXES, pattern="prefix", operations=everything),
        Acl(type="cluster", name=_CLUSTER, operations=("DescribeConfigs",)),
        Acl(type="group", name="*", operations=_LOOK),
        Acl(type="transactionalId", name="pointsman.", pattern="prefix", operations=_WRITE),
        _follows(),
    ]


def console_acls() -> list[Acl]:
    """What the console may do: show everything, and what its pages change; it writes nothing in the router's place."""
    return [
        *(Acl(type="topic", name=topic.name, operations=_READ) for topic in ALL),
        *(Acl(type="topic", name=topic.name, operations=("Write",)) for topic in ALL if topic.name not in _DECIDED),
        Acl(type="topic", name=_INBOXES, pattern="prefix", operations=(*_READ, "Write", "Create")),
        Acl(type="group", name="*", operations=_LOOK),
        Acl(type="transactionalId", name="pointsman.", pattern="prefix", operations=_WRITE),
        _follows(),
    ]


def sweeper_acls() -> list[Acl]:
    """What `pointsman leads sweep` may do."""
    return [
        *(Acl(type="topic", name=name, operations=_READ) for name in (LEADS, WORKFLOW_STATE)),
        Acl(type="topic", name=LEADS, operations=("Write",)),
        Acl(type="transactionalId", name="pointsman.leads.", pattern="prefix", operations=_WRITE),
        _follows(),
    ]


def metrics_acls() -> list[Acl]:
    """What may be read for the system's figures."""
    return [
        *(Acl(type="topic", name=name, operations=_READ) for name in SYSTEM_TOPICS),
        *(Acl(type="topic", name=name, operations=_LOOK) for name in (MESSAGES, LEADS)),
        Acl(type="topic", name=_INBOXES, pattern="prefix", operations=_LOOK),
        Acl(type="group", name="*", operations=_LOOK),
        _follows(),
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


def kafka_users() -> dict[str, list[Acl]]:
    """The users that every deployment has, and what they may do."""
    return {
        ROUTER: router_acls(),
        OPERATOR: operator_acls(),
        CONSOLE: console_acls(),
        CONNECT: connect_acls(),
        ARCHIVER: archive_acls(),
        SWEEPER: sweeper_acls(),
        METRICS: metrics_acls(),
    }


def agent_users(agents: Iterable[str]) -> dict[str, list[Acl]]:
    """The users of `agents`, and what they may do."""
    return {agent_user(name): agent_acls(name) for name in agents}


def helm_values(definitions: Iterable[AgentDefinition]) -> dict[str, Any]:
    """The catalog as the chart reads it (`docker/helm/pointsman/catalog.yaml`): agents, topics, Kafka users."""
    agents = sorted(definitions, key=lambda one: one.name)
    inboxes = [inbox_topic(one.name) for one in agents]
    users = {**kafka_users(), **agent_users(one.name for one in agents)}
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


def _follows() -> Acl:
    """Whoever reads or follows whole topics does so in a group of its own, whose name nobody can guess."""
    return Acl(type="group", name=READERS, pattern="prefix", operations=_READ)


def _topic(topic: Topic) -> dict[str, Any]:
    return {"name": topic.name, "partitions": topic.partitions, "config": dict(topic.config)}


def _acl(acl: Acl) -> dict[str, Any]:
    return {**asdict(acl), "operations": list(acl.operations)}
