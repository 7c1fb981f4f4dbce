"""Keeps a savepoint of this release for the tests of later ones: `python -m tests.e2e.savepoints.make`.

It starts a small stack, brings something of everything under way, and stops the job with a savepoint, in canonical
format: whatever state backend a later release has, it reads it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pointsman
from pointsman.local import LocalStack, StackOptions
from tests.e2e.savepoints.kept import ABOUT, FOR_EVER, NAME, keep
from tests.e2e.system import ROOT, System
from tests.e2e.under_way import UnderWay, write_definitions
from tests.witness import eventually

LIMITS = "[default]\nage_h = 0\n"
"""Nothing is too old when the savepoint is years old."""
PARTS = ("kafka", "topics", "flink", "model", "definitions")
MODEL_TAKES_MS = 120_000


def main() -> None:
    """Make the savepoint of this release."""
    with tempfile.TemporaryDirectory(prefix="pointsman savepoint ") as name:
        folder = Path(name)
        shutil.copytree(ROOT / "agent_definitions", folder / "agent_definitions")
        write_definitions(folder / "agent_definitions")
        # A question that is under way stays so until the job has stopped.
        os.environ["POINTSMAN_MODEL_TIMEOUT_S"] = str(MODEL_TAKES_MS // 1000 + 60)
        options = StackOptions(
            data_dir=folder / "data", jars_dir=ROOT / ".pointsman" / "jars", free_ports=True, submit_job=False,
            definitions_dir=folder / "agent_definitions", model_latency_ms=MODEL_TAKES_MS,
        )  # fmt: skip
        system = System(stack=LocalStack(options), data_dir=options.data_dir, early_address="")
        try:
            system.stack.up(only=PARTS)
            sys.stdout.write(f"{_kept(system)}\n")
        finally:
            system.close()
            system.stack.down()


def _kept(system: System) -> Path:
    submit_job(system)
    under_way = UnderWay(system, NAME)
    under_way.begin()
    under_way.insert_lead("lead")
    eventually(lambda: system.outcomes(under_way.workflow("lead")), within_s=60, what="a decision on the lead")
    under_way.ask()
    asked = len(under_way.asked)
    eventually(lambda: system.model_in_flight() == asked, within_s=60, every_s=0.05, what="the model's questions")
    place = system.cli("job", "stop", within_s=300).stdout.strip()
    under_way.say_while_nobody_listens()
    topics = sorted(topic for topic in system.witness.topics() if not topic.startswith("__"))
    folder = keep(pointsman.__version__, Path(place.removeprefix("file:")), system.witness.read(*topics))
    about = {"release": pointsman.__version__, "flink": "2.3.0", "format": "canonical"}
    (folder / ABOUT).write_text(json.dumps(about, indent=2) + "\n")
    return folder


def submit_job(system: System, *arguments: str) -> None:
    """Start the job, from a savepoint perhaps; what it remembers and what it works on is never too old."""
    limits = system.data_dir / "limits.toml"
    limits.write_text(LIMITS)
    told = ("--state-ttl", FOR_EVER, "--limits", str(limits), "--checkpoint-interval-ms", "200")
    system.cli("job", "submit", *told, *arguments, within_s=300)


if __name__ == "__main__":
    main()
