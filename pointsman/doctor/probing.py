"""Asks the real parts, one probe for each; a part that is away becomes a finding and stops no other probe."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Final

import httpx2

from pointsman.archive.files import Archive
from pointsman.avro.codec import subject_of
from pointsman.avro.registry import ConfluentRegistry
from pointsman.avro.subjects import schemas
from pointsman.catalog import Catalog
from pointsman.doctor import judging
from pointsman.doctor.findings import Finding, Verdict
from pointsman.doctor.judging import JobFacts, TopicFacts
from pointsman.errors import ConfigurationError, PointsmanError, TransientError
from pointsman.flink_rest import FlinkRefusedError, FlinkRest
from pointsman.kafka import KafkaAdmin, load_catalog, open_transactions
from pointsman.mail import SmtpMailer
from pointsman.models.factory import chat_model
from pointsman.models.port import ChatRequest
from pointsman.retention import ARCHIVE_DAYS, DOCUMENTS
from pointsman.retention_work import overdue, overdue_days
from pointsman.settings import Settings
from pointsman.store import server_facts
from pointsman.stores import open_store
from pointsman.topics import ALL, DECISIONS, inbox_topic

CONNECTOR: Final = "leads-source"
_TIMEOUT_S: Final = 5.0
_DELETED_WITHIN: Final = timedelta(days=2)
"""What is overdue is deleted once a day; a day that was missed is no finding yet."""

Probe = Callable[[Settings], Iterable[Finding]]


class _PartDownError(TransientError):
    """A part that was asked does not answer."""


def examine(settings: Settings, job_name: str) -> list[Finding]:
    """Look at everything, side by side; findings in the order of the probes.

    Args:
        settings: what to look at.
        job_name: name of the router job on Flink.
    """
    probes: dict[str, tuple[Probe, str]] = {
        "kafka": (kafka, "start the broker, or correct KAFKA_BOOTSTRAP_SERVERS"),
        "registry": (registry, "start the schema registry, or correct POINTSMAN_SCHEMA_REGISTRY_URL"),
        "connect": (connect, "start Kafka Connect, or correct POINTSMAN_CONNECT_URL"),
        "mongodb": (mongodb, "start mongod, or correct MONGODB_URI"),
        "flink": (lambda one: flink(one, job_name), "start the JobManager, or correct POINTSMAN_FLINK_URL"),
        "model": (model, "correct OPENAI_BASE_URL and OPENAI_API_KEY, or wait until the model is back"),
        "mail": (mail, "start the mail server, or correct POINTSMAN_SMTP_HOST and _PORT"),
        "retention": (retention, "start the document store, or correct MONGODB_URI"),
        "disk": (disk, ""),
    }
    with ThreadPoolExecutor(max_workers=len(probes)) as pool:
        asked = {area: pool.submit(probed, area, probe, settings, fix) for area, (probe, fix) in probes.items()}
        return [finding for answer in asked.values() for finding in answer.result()]


def probed(area: str, probe: Probe, settings: Settings, fix: str) -> Sequence[Finding]:
    """What `probe` finds; what it raises becomes a finding too.

    Args:
        area: what is looked at.
        probe: looks at it.
        settings: what to look at.
        fix: what to do when it does not answer.
    """
    try:
        return list(probe(settings))
    except TransientError as error:
        return [Finding(area=area, subject="reachable", verdict=Verdict.DOWN, detail=str(error), fix=fix)]
    except ConfigurationError as error:
        return [Finding(area=area, subject="settings", verdict=Verdict.WRONG, detail=error.what, fix=error.remedy)]
    except PointsmanError as error:
        return [Finding(area=area, subject="answer", verdict=Verdict.WRONG, detail=str(error), fix=fix)]
    except Exception as error:
        # Whatever a part answers, the others are looked at. The exception's text may quote anything.
        detail = f"its answer is not understood ({type(error).__name__})"
        return [Finding(area=area, subject="answer", verdict=Verdict.WRONG, detail=detail, fix=fix or "report it")]


def kafka(settings: Settings) -> Iterable[Finding]:
    """Broker, topics, clock."""
    admin = KafkaAdmin(settings.kafka_bootstrap)
    catalog: Catalog = load_catalog(settings.kafka_bootstrap)
    wanted = [*ALL, *(inbox_topic(name) for name in catalog.definitions)]
    yield _fine("kafka", "reachable", settings.kafka_bootstrap)
    yield _kafka_access(settings)
    yield judging.broker(admin.broker_config())
    described = admin.describe([topic.name for topic in wanted])
    yield from judging.topics(
        wanted, {name: TopicFacts(partitions=count, config=config) for name, (count, config) in described.items()}
    )
    if not catalog.definitions:
        yield _warned("kafka", "catalog", "no agent is in force", "`pointsman agents apply`")
    else:
        yield _fine("kafka", "catalog", f"{len(catalog.definitions)} agents, version {catalog.version}")
    now = datetime.now(UTC)
    yield from judging.readers(open_transactions(settings.kafka_bootstrap, described), now)
    newest_ms = admin.newest_timestamp_ms(DECISIONS) if DECISIONS in described else None
    newest = datetime.fromtimestamp(newest_ms / 1000, UTC) if newest_ms else None
    yield judging.newest_record(newest, now)


def registry(settings: Settings) -> Iterable[Finding]:
    """The schema registry and its subjects; nothing where none is configured."""
    if not settings.schema_registry_url:
        return
    asked = ConfluentRegistry(settings)
    wanted = schemas(load_catalog(settings.kafka_bootstrap).definitions.values())
    missing = [event_type for event_type in wanted if asked.latest(subject_of(event_type)) is None]
    yield _fine("registry", "reachable", f"schemas of {len(wanted) - len(missing)} event types")
    if missing:
        detail = f"{len(missing)} event types have no schema, and their messages are JSON: {', '.join(missing[:5])}"
        yield _warned("registry", "schemas", detail, "`pointsman agents apply`")


def _kafka_access(settings: Settings) -> Finding:
    hosts = [address.strip().rpartition(":")[0].strip("[]") for address in settings.kafka_bootstrap.split(",")]
    protocol = settings.kafka_security_protocol
    fix = "set POINTSMAN_KAFKA_SECURITY_PROTOCOL=SASL_SSL and a login; see docs/deployment.md"
    is_encrypted, has_login = protocol.endswith("SSL"), protocol.startswith("SASL")
    return judging.access("kafka", hosts, fix, is_encrypted=is_encrypted, has_login=has_login)


def connect(settings: Settings) -> Iterable[Finding]:
    """The connector and its tasks."""
    url = settings.connect_url.rstrip("/")
    try:
        answer = httpx2.get(f"{url}/connectors/{CONNECTOR}/status", timeout=_TIMEOUT_S)
        status = answer.json() if answer.status_code == httpx2.codes.OK else None
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise _PartDownError(f"Kafka Connect at {url} does not answer ({type(error).__name__})") from None
    yield _fine("connect", "reachable", url)
    yield from judging.connector(CONNECTOR, status)


def mongodb(settings: Settings) -> Iterable[Finding]:
    """Replica set, oplog, clock."""
    facts = asyncio.run(server_facts(settings.mongodb_uri.get_secret_value(), timeout_s=_TIMEOUT_S))
    yield _fine("mongodb", "reachable", f"version {facts.version}")
    fix = "name a user and tls=true in MONGODB_URI, and start mongod with --auth and --tlsMode requireTLS"
    yield judging.access("mongodb", facts.hosts, fix, is_encrypted=facts.is_encrypted, has_login=facts.has_login)
    yield from judging.replica_set(facts.replica_set, facts.oplog_hours)
    yield judging.clock("mongodb", facts.time, datetime.now(UTC))


def flink(settings: Settings, job_name: str) -> Iterable[Finding]:
    """TaskManagers, job, checkpoints, jars."""
    rest = FlinkRest(settings.flink_url)
    overview = rest.get("/overview")
    yield _fine("flink", "reachable", f"{rest.url}, version {overview.get('flink-version')}")
    yield judging.task_managers(int(overview.get("taskmanagers", 0)), int(overview.get("slots-total", 0)))
    yield from judging.job(job_name, job_facts(rest, job_name))
    try:
        yield from judging.jars(str(rest.get("/jobmanager/environment").get("classpath", "")))
    except FlinkRefusedError:
        yield _warned("flink", "jars", "this version of Flink does not tell its class path", "look into its lib folder")


def job_facts(rest: FlinkRest, name: str) -> JobFacts | None:
    """The latest job called `name`; None when the cluster knows none."""
    found = next((job for job in rest.jobs() if job.name == name), None)
    if found is None:
        return None
    told = rest.get(f"/jobs/{found.id}/checkpoints")
    completed = (told.get("latest") or {}).get("completed")
    # As the JobManager's clock has it: Flink tells times only.
    age = time.time() - completed["latest_ack_timestamp"] / 1000 if completed else None
    return JobFacts(
        state=found.state, checkpoint_age_s=age, failed_checkpoints=int((told.get("counts") or {}).get("failed", 0))
    )


def model(settings: Settings) -> Iterable[Finding]:
    """Whether the routing model answers a small question in the form that is asked of it."""
    yield asyncio.run(_answer(settings))


async def _answer(settings: Settings) -> Finding:
    asked = chat_model(settings)
    schema = {
        "type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"], "additionalProperties": False,
    }  # fmt: skip
    request = ChatRequest(system="This is a test of the connection.", user='{"ok": true}', schema=schema)
    try:
        answer = await asked.complete(request)
    finally:
        await asked.close()
    return _fine("model", "answers", f"{answer.model} in {answer.latency_ms:.0f} ms")


def mail(settings: Settings) -> Iterable[Finding]:
    """Whether the mail server takes the connection, the encryption and the login; no mail is sent."""
    yield from judging.mail_settings(settings.mail_from, settings.mail_allow, dry_run=settings.mail_dry_run)
    asyncio.run(SmtpMailer.of(settings).check())
    login = "with a login" if settings.smtp_username else "without a login"
    yield _fine("mail", "reachable", f"{settings.smtp_host}:{settings.smtp_port}, {settings.smtp_security}, {login}")


def retention(settings: Settings) -> Iterable[Finding]:
    """Documents and archived days that are older than they may be; topics are looked at with Kafka's."""
    now = datetime.now(UTC) - _DELETED_WITHIN
    yield from asyncio.run(_documents(settings, now))
    if settings.archive_dir is not None:
        days = overdue_days(Archive(settings.archive_dir), now)
        oldest = f"{days[0].topic} of {days[0].day.isoformat()}" if days else None
        yield judging.kept_too_long("cold", "archive", oldest, ARCHIVE_DAYS)


async def _documents(settings: Settings, now: datetime) -> list[Finding]:
    store = open_store(settings)
    try:
        return [
            judging.kept_too_long(
                "warm", kept.collection, "a document" if await overdue(store, kept, now, 1) else None, kept.days
            )
            for kept in DOCUMENTS
        ]
    finally:
        await store.close()


def disk(settings: Settings) -> Iterable[Finding]:
    """Room for the local stack's data."""
    folder = settings.data_dir.absolute()
    while not folder.exists():
        folder = folder.parent
    yield judging.disk(str(folder), shutil.disk_usage(folder).free)


def _fine(area: str, subject: str, detail: str) -> Finding:
    return Finding(area=area, subject=subject, verdict=Verdict.OK, detail=detail)


def _warned(area: str, subject: str, detail: str, fix: str) -> Finding:
    return Finding(area=area, subject=subject, verdict=Verdict.WARNING, detail=detail, fix=fix)
