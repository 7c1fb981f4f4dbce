"""One broker, one mock model, and as much Flink as a benchmark wants: real parts, by `pointsman.local`."""

from __future__ import annotations

import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError

from confluent_kafka import OFFSET_END, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from bench.pinning import Cores, pinned
from bench.programs import ROOT, BenchError, end, module, start, wait_for
from pointsman.catalog import Catalog
from pointsman.definitions import AgentDefinition
from pointsman.kafka import KafkaAdmin, load_catalog
from pointsman.local import LocalStack, StackOptions
from pointsman.local.ports import is_free
from pointsman.publish import KafkaCatalogTopic, apply
from pointsman.topics import MESSAGES, Topic

WORK: Final = ROOT / ".pointsman" / "bench"
JARS: Final = ROOT / ".pointsman" / "jars"
MOCK_WORKERS: Final = 2
_NO_LEADER_YET: Final = (KafkaError.NOT_LEADER_FOR_PARTITION, KafkaError.LEADER_NOT_AVAILABLE)


class Model:
    """The mock model's process.

    Args:
        folder: where its counters and its log go.
        cores: where it runs.
    """

    def __init__(self, folder: Path, cores: frozenset[int]) -> None:
        self.port = next(port for port in range(32_100, 32_700) if is_free(port))
        options = ("--port", str(self.port), "--workers", str(MOCK_WORKERS), "--counters", str(folder / "counters"))
        self._process = start(module("bench.mock_model", *options), cores, log=folder / "mock.log")
        try:
            wait_for("the mock model", self._answers, 15)
        except BaseException:
            self.close()
            raise

    def url(self, how: str = "l0") -> str:
        """Its base URL; `how` is a path such as `l200/tail2s2000`."""
        return f"http://127.0.0.1:{self.port}/{how}/v1"

    def counters(self) -> dict[str, int]:
        """Calls, tokens and the peak so far."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/counters", timeout=10) as answer:  # nosec B310
            found: dict[str, int] = json.load(answer)
        return found

    def forget_peak(self) -> None:
        """Begin the peak anew; each worker keeps its own, and chance says which one hears it."""
        for _ in range(4 * MOCK_WORKERS):
            self._post("/counters")

    def be_down(self, seconds: float) -> None:
        """Have it refuse every call for `seconds`."""
        self._post(f"/down/{seconds:g}")

    def close(self) -> None:
        """End it."""
        end(self._process)

    def _answers(self) -> bool:
        if self._process.poll() is not None:
            raise BenchError(f"the mock model ended at once with {self._process.returncode}")
        try:
            return bool(self.counters())
        except (URLError, OSError):
            return False

    def _post(self, path: str) -> None:
        url = f"http://127.0.0.1:{self.port}{path}"
        with urllib.request.urlopen(url, data=b"{}", timeout=10):  # nosec B310
            pass


class FlinkCluster:
    """A Flink cluster of its own, on the measured system's cores.

    Args:
        folder: its data folder.
        cores: where it runs.
        slots: TaskManagers, of one slot each.
    """

    def __init__(self, folder: Path, cores: frozenset[int], slots: int) -> None:
        self.folder = folder
        self._stack = LocalStack(
            StackOptions(
                data_dir=folder,
                jars_dir=JARS,
                free_ports=True,
                parallelism=slots,
                checkpoint_interval_ms=1000,
                long_lived=True,
            )
        )
        try:
            with pinned(cores):
                self._stack.up(only={"flink"})
        except BaseException:
            self._stack.down()
            raise

    @property
    def url(self) -> str:
        """Flink's REST address."""
        return self._stack.addresses.flink_url

    @property
    def lib(self) -> Path:
        """Folder of the cluster's jars."""
        return JARS.resolve() / "flink-lib"

    def pids(self) -> dict[str, int]:
        """Process ids of its programs by name."""
        return {row.name: row.pid for row in self._stack.status() if row.pid}

    def close(self) -> None:
        """Stop it."""
        self._stack.down()


@dataclass(kw_only=True)
class Testbed:
    """Broker and model, up; Flink on demand.

    Attributes:
        folder: for logs and state; removed at the end.
        cores: who runs where.
        model: the mock model.
    """

    folder: Path
    cores: Cores
    model: Model
    _broker: LocalStack
    _flinks: list[FlinkCluster]
    _second: Testbed | None = None

    @property
    def bootstrap(self) -> str:
        """Kafka's address."""
        return self._broker.addresses.kafka_bootstrap

    def topics(self, *names: str, partitions: int = 4) -> None:
        """Make topics that are not there yet."""
        KafkaAdmin(self.bootstrap).ensure_topics(Topic(name=name, key="id", partitions=partitions) for name in names)

    def catalog(self, agents: list[AgentDefinition]) -> Catalog:
        """Put `agents` in force, and no others."""
        move = apply(KafkaCatalogTopic(self.bootstrap), agents, prune=True)
        wait_for("the catalog", lambda: load_catalog(self.bootstrap).sequence >= move.after.sequence, 20)
        return move.after

    def flink(self, slots: int, cores: frozenset[int] | None = None) -> FlinkCluster:
        """A new cluster."""
        folder = self.folder / f"flink-{len(self._flinks)}-{time.monotonic_ns()}"
        cluster = FlinkCluster(folder, cores or self.cores.system, slots)
        self._flinks.append(cluster)
        return cluster

    def forget_messages(self) -> None:
        """Drop what is left on `agent_messages`: a new job would begin with it."""
        wait_for("a leader of each partition", self._is_emptied, 20, every_s=0.2)

    def _is_emptied(self) -> bool:
        admin = AdminClient({"bootstrap.servers": self.bootstrap})
        known = admin.list_topics(MESSAGES, timeout=10).topics[MESSAGES].partitions
        parts = [TopicPartition(MESSAGES, number, OFFSET_END) for number in known]
        try:
            for future in admin.delete_records(parts).values():
                future.result()
        except KafkaException as error:
            # A broker that has just come up has topics before it leads their partitions.
            if error.args[0].code() not in _NO_LEADER_YET:
                raise
            return False
        return True

    def beside(self) -> Testbed:
        """The same with a broker of its own: a second router would read the first one's messages."""
        if self._second is None:
            folder = self.folder / "second"
            broker = _broker_in(folder, self.cores)
            self._second = Testbed(folder=folder, cores=self.cores, model=self.model, _broker=broker, _flinks=[])
        return self._second

    def kill_broker(self, bootstrap: str) -> None:
        """SIGKILL to the broker at this address; its supervisor starts it again."""
        for bed in filter(None, (self, self._second)):
            if bed.bootstrap == bootstrap:
                bed._broker.kill("kafka")  # noqa: SLF001 - its own

    def close_flinks(self) -> None:
        """Stop every cluster."""
        while self._flinks:
            self._flinks.pop().close()

    def close(self) -> None:
        """Stop everything."""
        self.close_flinks()
        self.model.close()
        for bed in (self, *((self._second,) if self._second else ())):
            bed._broker.down()  # noqa: SLF001 - its own
        shutil.rmtree(self.folder, ignore_errors=True)


def open_testbed(cores: Cores) -> Testbed:
    """Start broker and model.

    Raises:
        BenchError: the model does not start.
        ConfigurationError: the broker cannot be started.
        TransientError: it does not become ready.
    """
    WORK.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="pointsman-bench-"))
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, folder, ignore_errors=True)
        broker = _broker_in(folder, cores)
        undo.callback(broker.down)
        model = Model(folder, cores.harness)
        undo.pop_all()
    return Testbed(folder=folder, cores=cores, model=model, _broker=broker, _flinks=[])


def _broker_in(folder: Path, cores: Cores) -> LocalStack:
    broker = LocalStack(StackOptions(data_dir=folder / "broker", jars_dir=JARS, free_ports=True))
    try:
        with pinned(cores.harness):
            broker.up(only={"kafka", "topics"})
    except BaseException:
        broker.down()
        raise
    return broker


def fetch_model_function() -> Path:
    """The jar of Flink's `ML_PREDICT` for OpenAI, fetched once by Maven.

    Raises:
        BenchError: Maven could not fetch it.
    """
    folder = ROOT / ".pointsman" / "sql-jars"
    if not list(folder.glob("flink-model-openai-*.jar")):
        pom = ROOT / "connectors" / "sql_job.pom.xml"
        command = ["mvn", "-B", "-q", "-ntp", "-f", str(pom), "package", f"-Djars.folder={folder}"]
        with suppress(subprocess.TimeoutExpired, FileNotFoundError):
            subprocess.run(command, check=False, capture_output=True, timeout=240)
    jars: list[Any] = sorted(folder.glob("flink-model-openai-*.jar"))
    if not jars:
        raise BenchError("Maven could not fetch flink-model-openai")
    found: Path = jars[0]
    return found
