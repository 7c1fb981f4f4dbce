"""Result files: every run as it was, and where it was made."""

from __future__ import annotations

import json
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

import psutil

from bench.pinning import Cores
from bench.programs import ROOT
from pointsman.local.working_state import has_room

RESULTS: Final = ROOT / "bench" / "results"
_NAMED: Final = ("apache-flink", "confluent-kafka", "openai", "aiohttp", "uvloop", "pydantic", "jsonschema-rs")


@dataclass(kw_only=True)
class Report:
    """What one benchmark found.

    Attributes:
        benchmark: its number, `P2`.
        title: its name.
        what: what was offered to whom, in a sentence or two.
        rows: every run as it was.
        failures: who could not be measured, and why.
        notes: what a reader must know beside the figures.
        machine: where it was made.
    """

    benchmark: str
    title: str
    what: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    machine: dict[str, Any] = field(default_factory=dict)

    def failed(self, system: str, error: Exception) -> None:
        """Record that `system` could not be measured."""
        self.failures.append({"system": system, "why": f"{type(error).__name__}: {error}"[:600]})

    def left_out(self, systems: list[str]) -> None:
        """Record who takes part otherwise and was not asked to this time."""
        if systems:
            self.note(f"Left out of this run: {', '.join(systems)}.")

    def note(self, text: str) -> None:
        """Record what a reader must know; said again it stands there once."""
        if text not in self.notes:
            self.notes.append(text)

    def write(self, folder: Path = RESULTS) -> Path:
        """Write it as JSON, one run per line; the file."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{self.benchmark}.json"
        held = asdict(self)
        rows = ",\n".join(f"  {json.dumps(row)}" for row in held.pop("rows"))
        head = json.dumps(held, indent=1)
        file.write_text(f'{head[:-2]},\n "rows": [\n{rows}\n ]\n}}\n', encoding="utf-8")
        return file


def machine(cores: Cores) -> dict[str, Any]:
    """Processor, cores, versions, commit, where RocksDB works, and how busy the machine was with other work."""
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _commit(),
        "processor": _processor(),
        "cores_harness": sorted(cores.harness),
        "cores_system": sorted(cores.system),
        "cores_apart": cores.are_apart,
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "busy_before_percent": round(psutil.cpu_percent(interval=1.0), 1),
        "rocksdb_in_memory": has_room(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "versions": {name: _version(name) for name in _NAMED},
    }


def _commit() -> str:
    done = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--exclude", "*"],  # noqa: S607 - whichever git the user has
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.stdout.strip() or "unknown"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
