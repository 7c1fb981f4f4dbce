"""An environment of its own for each rival, built once from the pinned versions beside it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from bench.programs import ROOT, BenchError
from bench.testbed import WORK

_INSTALL_WITHIN_S = 300


def python_of(rival: str) -> Path:
    """The Python of the rival's environment, built when it is missing or when its versions have changed.

    Args:
        rival: folder below `bench/rivals` that holds `requirements.txt`.

    Raises:
        BenchError: it cannot be installed; the text ends with what the installer said.
    """
    wanted = ROOT / "bench" / "rivals" / rival / "requirements.txt"
    mark = hashlib.sha256(wanted.read_bytes()).hexdigest()
    folder = WORK / "environments" / rival
    python, marker = folder / "bin" / "python", folder / "complete"
    if marker.is_file() and marker.read_text(encoding="utf-8") == mark:
        return python
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)], rival)
    with_uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(python)]
    try:
        _run([*with_uv, "--requirement", str(wanted)], rival)
    except BenchError:  # uv does not read pip's configuration
        _run([str(python), "-m", "pip", "install", "--quiet", "--requirement", str(wanted)], rival)
    marker.write_text(mark, encoding="utf-8")
    return python


def _run(command: list[str], rival: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        raise BenchError(f"{rival} was not installed within {_INSTALL_WITHIN_S} s") from None
    if done.returncode != 0:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise BenchError(f"{rival} cannot be installed: {' '.join(said[-3:])[:400]}")
