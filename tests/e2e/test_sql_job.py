"""The router as one SQL script: no Python in the cluster, and leads still end as mails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pointsman.local import LocalStack, StackOptions
from pointsman.local.flink import java_options
from pointsman.local.jars import pyflink_folder
from tests.e2e.system import ROOT, System, address, hot_lead, lukewarm_lead
from tests.witness import eventually

pytestmark = pytest.mark.long

JARS = ROOT / ".pointsman" / "sql-jars"


@pytest.fixture(scope="module")
def sql_jars() -> Path:
    """What connectors/sql_job.pom.xml names, fetched once."""
    if not list(JARS.glob("flink-sql-gateway-*.jar")):
        pom = ROOT / "connectors" / "sql_job.pom.xml"
        command = ["mvn", "-B", "-q", "-ntp", "-f", str(pom), "package", f"-Djars.folder={JARS}"]
        subprocess.run(command, check=True, capture_output=True, timeout=240)
    return JARS


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """A stack of its own whose Python job is stopped: the SQL job takes its slot."""
    data_dir = tmp_path_factory.mktemp("sql stack")
    options = StackOptions(
        data_dir=data_dir, free_ports=True, definitions_dir=ROOT / "agent_definitions", model_latency_ms=50,
        jars_dir=ROOT / ".pointsman" / "jars",
    )  # fmt: skip
    stack = LocalStack(options)
    running = System(stack=stack, data_dir=data_dir, early_address=address())
    try:
        stack.up()
        running.cli("job", "cancel")
        yield running
    finally:
        running.close()
        stack.down()
        shutil.rmtree(data_dir, ignore_errors=True)


def submit(system: System, jars: Path, folder: Path) -> str:
    """Render the script and hand it to Flink's SQL client; what the client says."""
    (folder / "key").write_text("not-needed")
    endpoint = f"{system.settings['openai_base_url']}/chat/completions"
    command = [
        sys.executable, "-m", "flink_jobs.sql_router", "--kafka-bootstrap", system.settings["kafka_bootstrap"],
        "--endpoint", endpoint, "--api-key-file", str(folder / "key"),
    ]  # fmt: skip
    rendered = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=60)
    (folder / "router.sql").write_text(rendered.stdout)
    lib = system.data_dir / "jars" / "flink-lib"
    classes = [f"{lib}/*", f"{pyflink_folder()}/opt/flink-sql-client-2.3.0.jar", f"{jars}/*"]
    # What bin/sql-client.sh of a Flink distribution runs; that script cannot live in a folder with a space.
    client = ["java", "-Xmx384m", *java_options(), "-cp", os.pathsep.join(classes)]
    client += ["org.apache.flink.table.client.SqlClient", "embedded", "-f", str(folder / "router.sql")]
    # Nor does the client take a jar from one.
    model_jar = folder / "flink-model-openai.jar"
    model_jar.symlink_to(next(jars.glob("flink-model-openai-*.jar")))
    client += ["-j", str(model_jar)]
    configuration = next((system.data_dir / "flink").rglob("config.yaml")).parent
    environment = {
        **os.environ, "FLINK_CONF_DIR": str(configuration), "FLINK_LIB_DIR": str(lib),
        "FLINK_OPT_DIR": f"{pyflink_folder()}/opt",
    }  # fmt: skip
    done = subprocess.run(client, env=environment, capture_output=True, text=True, timeout=200, check=False)
    return done.stdout + done.stderr


def test_leads_are_routed_by_type_and_by_model_without_python(system: System, sql_jars: Path, tmp_path: Path) -> None:
    said = submit(system, sql_jars, tmp_path)
    assert "Job ID" in said, said[-3000:]
    hot, to_hot = system.insert(hot_lead())
    warm, to_warm = system.insert(lukewarm_lead())

    for workflow, where in ((hot, to_hot), (warm, to_warm)):
        eventually(lambda where=where: system.mails_to(where), within_s=90, what="a mail")  # type: ignore[misc]
        eventually(lambda workflow=workflow: "email.sent" in system.witness.events(workflow), what="its event")  # type: ignore[misc]

    decided = {(one["event_type"], one["how"], one["agent"]) for one in system.witness.decisions(hot)}
    assert ("lead.received", "single_candidate", "lead_ingestion") in decided
    assert ("lead.scored", "model", "active_outreach") in decided
    assert ("lead.scored", "model", "nurture_campaign") in {
        (one["event_type"], one["how"], one["agent"]) for one in system.witness.decisions(warm)
    }

    unknown = system.send("weather.changed", {"to": "rain"})
    eventually(lambda: system.outcomes(unknown) == ["abstained"], what="an abstention")
    twice = system.send("weather.changed", {"to": "sun"}, times=3)
    eventually(lambda: system.outcomes(twice), what="a decision on a repeated message")
    system.witness.write("agent_messages", b"no json", headers={"ce_id": b"x"})
    eventually(
        lambda: [seen for seen in system.witness.read("agent_errors") if seen.value == b"no json"], what="garbage"
    )
    assert system.outcomes(twice) == ["abstained"]
    assert system.job_restarts() == 0
