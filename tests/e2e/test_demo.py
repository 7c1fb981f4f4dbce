"""`make demo` from a clean clone, in a folder whose name has a space, by somebody who read only the README."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.e2e.system import ROOT


@pytest.mark.timeout(900)
def test_make_demo_shows_the_loop_from_a_clean_clone_and_leaves_nothing_behind(tmp_path: Path) -> None:
    clone = tmp_path / "a folder with spaces" / "pointsman"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    # Nothing of this process's environment tells the clone where things are.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("POINTSMAN", "VIRTUAL_ENV"))}
    try:
        shown = subprocess.run(["make", "demo"], cwd=clone, env=env, capture_output=True, text=True, check=False)
        assert shown.returncode == 0, shown.stdout[-3000:] + shown.stderr[-3000:]
        left = [process for process in psutil.process_iter(["cmdline"]) if _belongs_to(process, clone)]
        assert left == []
    finally:
        shutil.rmtree(clone, ignore_errors=True)
    assert "deterministic and no language model" in shown.stdout
    assert "Mara Lind, Nordhafen Wholesale" in shown.stdout
    assert "lead.scored → active_outreach" in shown.stdout
    assert "lead.scored → nurture_campaign" in shown.stdout
    assert "lead.merged → completed" in shown.stdout
    assert "To:      mara.lind@nordhafen.example" in shown.stdout
    assert "jonas92@freemail.example" not in shown.stdout.split("mails, as received")[1]


def _belongs_to(process: psutil.Process, folder: Path) -> bool:
    return any(str(folder) in part for part in process.info["cmdline"] or ())
