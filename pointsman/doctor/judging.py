"""From facts to findings. Pure: what is right is decided here, without a client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Any, Final

from pointsman.doctor.findings import Finding, Verdict
from pointsman.kafka import OpenTransaction
from pointsman.topics import Topic

SINK_TRANSACTION_MS: Final = 600_000
"""`transaction.timeout.ms` of the job's sink (sql/outbox.sql): no transaction of ours may last longer."""
OLDEST_CHECKPOINT_S: Final = 60.0
SKEW_S: Final = 2.0
_GRACE: Final = timedelta(minutes=1)
"""The broker looks for transactions that are over their time every ten seconds."""
LEAST_DISK_BYTES: Final = 3 * 1024**3
LEAST_OPLOG_HOURS: Final = 24.0
JARS: Final = ("flink-python", "flink-sql-connector-kafka")
_OURS: Final = ("cleanup.policy", "retention.ms", "max.compaction.lag.ms", "max.message.bytes")
_GIB: Final = 1024**3


@dataclass(frozen=True, kw_only=True)
class TopicFacts:
    """A topic as it is.

    Attributes:
        partitions: number of partitions.
        config: its configuration.
    """

    partitions: int
    config: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class JobFacts:
    """The router job as it is.

    Attributes:
        state: Flink's word, e.g. `RUNNING`.
        checkpoint_age_s: seconds since its latest completed checkpoint; None when it has none.
        failed_checkpoints: checkpoints that failed since its last start.
    """

    state: str
    checkpoint_age_s: float | None
    failed_checkpoints: int


def topics(wanted: Iterable[Topic], found: Mapping[str, TopicFacts]) -> Iterator[Finding]:
    """Whether each topic is there as `pointsman.topics` has it."""
    for topic in wanted:
        facts = found.get(topic.name)
        if facts is None:
            fix = "`pointsman topics apply` makes it, `pointsman agents apply` the inboxes"
            yield _wrong("kafka", topic.name, "the topic does not exist", fix)
            continue
        yield from _partitions(topic, facts.partitions)
        differences = list(_differences(topic, facts))
        if differences:
            fix = f"kafka-configs --alter --topic {topic.name} --add-config {_settings(topic)}"
            yield _wrong("kafka", topic.name, "; ".join(differences), fix)
        else:
            yield _ok("kafka", topic.name, f"{facts.partitions} partitions, {topic.config['cleanup.policy']}")


def _partitions(topic: Topic, found: int) -> Iterator[Finding]:
    subject = f"{topic.name} partitions"
    if topic.partitions == 1 and found != 1:
        fix = "its order counts as a whole: delete the topic and make it again with one partition"
        yield _wrong("kafka", subject, f"{found} partitions instead of one", fix)
    elif found < topic.partitions:
        detail = f"{found} partitions instead of {topic.partitions}: fewer instances can share the work"
        alter = f"kafka-topics --alter --topic {topic.name} --partitions {topic.partitions}"
        fix = f"before anything is written to it: {alter}"
        yield _warning("kafka", subject, detail, fix)


def broker(config: Mapping[str, str]) -> Finding:
    """Whether the broker lets a transaction last as long as the job's may."""
    subject = "transaction.max.timeout.ms"
    found = config.get(subject, "")
    if not found.isdecimal():
        return _warning("kafka", subject, "the broker does not say", f"set {subject} to {SINK_TRANSACTION_MS} or more")
    if int(found) < SINK_TRANSACTION_MS:
        detail = f"{found}, and the job's sink asks for {SINK_TRANSACTION_MS}: it cannot start"
        return _wrong("kafka", subject, detail, f"set {subject}={SINK_TRANSACTION_MS} on the brokers")
    return _ok("kafka", subject, found)


def access(area: str, hosts: Iterable[str], fix: str, *, is_encrypted: bool, has_login: bool) -> Finding:
    """Whether what leaves this machine is encrypted, and whether the other side asks who comes.

    Args:
        area: the part that is asked.
        hosts: where it is.
        fix: the settings that make it so.
        is_encrypted: whether the connection is.
        has_login: whether we log in.
    """
    lacking = [what for what, is_there in (("no TLS", is_encrypted), ("no login", has_login)) if not is_there]
    if not lacking:
        return _ok(area, "access", "TLS and a login")
    told = " and ".join(lacking)
    if all(_is_here(host) for host in hosts):
        return _ok(area, "access", f"{told}, on this machine only")
    return _warning(area, "access", f"{told}, over the network: anybody there may read and write in any name", fix)


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def connector(name: str, status: Mapping[str, Any] | None) -> Iterator[Finding]:
    """Whether the connector and its tasks run; `status` is Connect's answer, None when it knows none of that name."""
    if status is None:
        fix = "PUT connectors/leads_source.json to /connectors/<name>/config; `pointsman up` does it"
        yield _wrong("connect", name, "Connect knows no such connector", fix)
        return
    states = {"connector": status.get("connector", {}).get("state")}
    states |= {f"task {task.get('id')}": task.get("state") for task in status.get("tasks") or []}
    if len(states) == 1:
        states["task 0"] = "missing"
    for subject, state in states.items():
        if state == "RUNNING":
            yield _ok("connect", f"{name} {subject}", "running")
        else:
            fix = (
                f"read its trace: GET /connectors/{name}/status; then POST /connectors/{name}/restart?includeTasks=true"
            )
            yield _wrong("connect", f"{name} {subject}", str(state).lower(), fix)


def replica_set(name: str | None, oplog_hours: float | None) -> Iterator[Finding]:
    """Whether MongoDB keeps a log of changes that the connector can follow, and for how long."""
    if not name:
        fix = "start mongod with --replSet and run rs.initiate() once"
        yield _wrong("mongodb", "replica set", "a standalone server has no change streams", fix)
        return
    yield _ok("mongodb", "replica set", name)
    if oplog_hours is None:
        fix = "give the user of MONGODB_URI the role clusterMonitor, and read on local"
        yield _warning("mongodb", "oplog", "its length cannot be read", fix)
    elif 0 < oplog_hours < LEAST_OPLOG_HOURS:
        yield _ok("mongodb", "oplog", f"{oplog_hours:.1f} h so far; it must hold the longest outage of Connect")
    else:
        yield _ok("mongodb", "oplog", f"{oplog_hours:.0f} h")


def job(name: str, facts: JobFacts | None) -> Iterator[Finding]:
    """Whether the router job runs and its checkpoints are young."""
    if facts is None:
        yield _wrong("flink", name, "Flink knows no such job", "`pointsman job submit`")
        return
    if facts.state != "RUNNING":
        fix = f"read the exceptions on Flink's page of the job; `pointsman job submit --name {name}` starts it again"
        yield _wrong("flink", name, facts.state.lower(), fix)
        return
    yield _ok("flink", name, "running")
    age = facts.checkpoint_age_s
    if age is None or age > OLDEST_CHECKPOINT_S:
        told = "none has completed" if age is None else f"the latest is {age:.0f} s old"
        fix = "look at the checkpoints on Flink's page of the job, and at the TaskManagers' logs"
        yield _wrong("flink", "checkpoints", f"{told}; nothing becomes visible without one", fix)
    else:
        failed = f", {facts.failed_checkpoints} failed since the job started" if facts.failed_checkpoints else ""
        yield _ok("flink", "checkpoints", f"the latest is {age:.1f} s old{failed}")


def task_managers(count: int, slots: int) -> Finding:
    """Whether somebody can run the job."""
    if count == 0:
        return _wrong("flink", "task managers", "there is none", "start TaskManagers; see docs/operations.md")
    if slots > count:
        detail = f"{count} with {slots} slots: slots of one share Python's interpreter lock"
        return _warning("flink", "task managers", detail, "taskmanager.numberOfTaskSlots: 1, and more TaskManagers")
    return _ok("flink", "task managers", f"{count} with one slot each")


def jars(class_path: str) -> Iterator[Finding]:
    """Whether the cluster has the jars that the job needs in its `lib` folder."""
    for jar in JARS:
        if jar in class_path:
            yield _ok("flink", jar, "on the class path")
        else:
            fix = f"put the {jar} jar that connectors/pom.xml pins into Flink's lib folder, and restart the cluster"
            yield _wrong("flink", jar, "not on the class path", fix)


def clock(subject: str, theirs: datetime, ours: datetime) -> Finding:
    """Whether two clocks agree; deadlines and time-outs compare times of several machines."""
    skew = abs((theirs - ours).total_seconds())
    if skew > SKEW_S:
        detail = f"{skew:.1f} s off this machine's clock"
        return _wrong("clock", subject, detail, "run NTP (chrony) on both machines")
    return _ok("clock", subject, f"within {SKEW_S:g} s")


def readers(transactions: Iterable[OpenTransaction], now: datetime) -> Iterator[Finding]:
    """Whether a transaction holds readers back that is older than any of ours may be: nobody will end it."""
    oldest = now - timedelta(milliseconds=SINK_TRANSACTION_MS) - _GRACE
    forgotten = [one for one in transactions if one.since and one.since < oldest]
    for one in forgotten:
        detail = f"readers stand still at offset {one.offset} since {one.since:%F %R} UTC: a transaction nobody ends"
        abort = f"abort --topic {one.topic} --partition {one.partition} --start-offset {one.offset}"
        fix = f"`kafka-transactions.sh --bootstrap-server … {abort}`, and a Kafka that is not 4.3 (docs/adr/0026)"
        yield _wrong("kafka", f"{one.topic} readers, partition {one.partition}", detail, fix)
    if not forgotten:
        yield _ok("kafka", "readers", "no transaction holds them back for long")


def newest_record(newest: datetime | None, ours: datetime) -> Finding:
    """Whether Kafka holds a record from the future: then a clock there runs ahead."""
    if newest is not None and (newest - ours).total_seconds() > SKEW_S:
        ahead = (newest - ours).total_seconds()
        return _wrong("clock", "kafka", f"its newest record is {ahead:.1f} s in the future", "run NTP (chrony)")
    return _ok("clock", "kafka", "no record is from the future")


def kept_too_long(tier: str, what: str, oldest: str | None, days: int | None) -> Finding:
    """Whether something is kept longer than `pointsman.retention` says.

    Args:
        tier: `warm` or `cold`.
        what: a collection, or the archive.
        oldest: something that is too old; None when nothing is.
        days: how long it may be kept; None is for ever.
    """
    subject = f"{tier} {what}"
    if oldest is None:
        return _ok("retention", subject, "kept for ever" if days is None else f"nothing is older than {days} days")
    return _wrong("retention", subject, f"{oldest} is older than {days} days", "`pointsman retention apply`, every day")


def disk(path: str, free_bytes: int) -> Finding:
    """Whether there is room left."""
    told = f"{free_bytes / _GIB:.1f} GiB free"
    if free_bytes < LEAST_DISK_BYTES:
        return _wrong("disk", path, told, f"free {LEAST_DISK_BYTES // _GIB} GiB, or set POINTSMAN_DATA_DIR elsewhere")
    return _ok("disk", path, told)


def mail_settings(mail_from: str, allow: Sequence[str], *, dry_run: bool) -> Iterator[Finding]:
    """Whether mails could leave, and to whom."""
    if mail_from.rstrip(">").endswith(".example"):
        yield _warning("mail", "sender", "it is the example's", "set POINTSMAN_MAIL_FROM to an address of yours")
    if dry_run:
        yield _warning("mail", "dry run", "no mail is sent", "unset POINTSMAN_MAIL_DRY_RUN when you mean it")
    if not allow:
        fix = 'set POINTSMAN_MAIL_ALLOW, for agents as for this command; ["*"] is everybody'
        yield _warning("mail", "allow-list", "nobody gets mail", fix)
    else:
        told = "everybody" if "*" in allow else f"{len(allow)} addresses and domains"
        yield _ok("mail", "allow-list", told)


def _differences(topic: Topic, facts: TopicFacts) -> Iterator[str]:
    for name, wanted in topic.config.items():
        found = facts.config.get(name)
        if name in _OURS and found != wanted:
            yield f"{name} is {found}, not {wanted}"


def _settings(topic: Topic) -> str:
    return ",".join(f"{name}={value}" for name, value in topic.config.items() if name in _OURS)


def _ok(area: str, subject: str, detail: str) -> Finding:
    return Finding(area=area, subject=subject, verdict=Verdict.OK, detail=detail)


def _warning(area: str, subject: str, detail: str, fix: str) -> Finding:
    return Finding(area=area, subject=subject, verdict=Verdict.WARNING, detail=detail, fix=fix)


def _wrong(area: str, subject: str, detail: str, fix: str) -> Finding:
    return Finding(area=area, subject=subject, verdict=Verdict.WRONG, detail=detail, fix=fix)
