"""A worker that has run another job before runs the code that came with this one."""

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import sys
sys.path.insert(0, {site!r})
import cloudpickle, pickle
sys.path.insert(0, {first!r})
import flink_jobs.thing
from {shipped} import _loader
reduced = cloudpickle.dumps((_loader(), cloudpickle.dumps((flink_jobs.thing.Thing, ()))))
sys.path.insert(0, {second!r})
load, payload = pickle.loads(reduced)
print(load(payload).version)
"""


def archive(folder: Path, unpacked: str, blob: str, version: str) -> Path:
    """An unpacked archive of a job, as Flink lays it out."""
    root = folder / unpacked / "python-files" / blob / "job"
    (root / "flink_jobs").mkdir(parents=True)
    (root / "flink_jobs" / "__init__.py").touch()
    (root / "flink_jobs" / "thing.py").write_text(f"class Thing:\n    version = {version!r}\n")
    return root


def run(folder: Path, first: Path, second: Path) -> str:
    repository = Path(__file__).parents[2]
    (folder / "shipped_copy.py").write_text((repository / "flink_jobs/operators/shipped.py").read_text())
    script = SCRIPT.format(site=str(folder), first=str(first), second=str(second), shipped="shipped_copy")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=folder)
    return done.stdout.strip()


def test_a_new_version_replaces_what_the_worker_had_imported(tmp_path: Path) -> None:
    old, new = archive(tmp_path, "a", "blob-1", "old"), archive(tmp_path, "b", "blob-2", "new")

    assert run(tmp_path, old, new) == "new"


def test_a_restart_of_the_same_job_keeps_what_is_imported(tmp_path: Path) -> None:
    # Same blob, unpacked elsewhere: importing again would open every connection again.
    before, after = archive(tmp_path, "a", "blob-1", "kept"), archive(tmp_path, "b", "blob-1", "imported again")

    assert run(tmp_path, before, after) == "kept"
