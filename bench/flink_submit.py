"""Submits rivals' jobs with Flink's own client, as `pointsman.job` does it for the router."""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from bench.programs import ROOT, BenchError, wait_for
from bench.testbed import FlinkCluster
from pointsman.flink_rest import FlinkRest
from pointsman.job_health import job_runs
from pointsman.local.flink import java_options

_SUBMITTED: Final = re.compile(r"JobID ([0-9a-f]{32})")
_SHARED: Final = ROOT / "bench" / "rivals" / "asking.py"


def submit_python(cluster: FlinkCluster, job: Path, config: Mapping[str, Any], java: Path, python: str) -> str:
    """Submit a PyFlink program and wait until it runs; Flink's id of the job.

    Args:
        cluster: where it runs.
        job: the program; it gets `config` as its one argument.
        config: what it is told.
        java: the java to run.
        python: the Python that runs the program here.

    Raises:
        BenchError: Flink's client did not submit it, or it does not run.
    """
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
        files = Path(folder) / "files.zip"
        with zipfile.ZipFile(files, "w") as packed:
            packed.write(_SHARED, _SHARED.name)
        rest = FlinkRest(cluster.url)
        host, port = rest.host_and_port
        (Path(folder) / "config.yaml").write_text(f"rest.address: {host}\nrest.port: {port}\n", encoding="utf-8")
        client = [str(java), "-Xmx256m", *java_options(), "-cp", f"{cluster.lib}/*"]
        client += ["org.apache.flink.client.cli.CliFrontend", "run", "--detached", "--jobmanager", f"{host}:{port}"]
        client += ["--python", str(job), "--pyFiles", str(files), "--pyClientExecutable", python, json.dumps(config)]
        job_id = _said(client, Path(folder), cluster.lib)
    wait_for(f"job {job.parent.name}", lambda: job_runs(cluster.url, job_id), 60)
    return job_id


def _said(client: Sequence[str], folder: Path, lib: Path) -> str:
    places = {"FLINK_CONF_DIR": str(folder), "FLINK_LIB_DIR": str(lib), "FLINK_OPT_DIR": str(lib)}
    done = subprocess.run(
        client, env={**os.environ, **places}, capture_output=True, text=True, timeout=120, check=False
    )
    submitted = _SUBMITTED.search(done.stdout)
    if submitted is None:
        causes = [line for line in (done.stdout + done.stderr).splitlines() if "Error" in line or "Caused" in line]
        raise BenchError(f"Flink's client did not submit {client[-1][:80]}: {'; '.join(causes[-4:])[:600]}")
    return submitted[1]
