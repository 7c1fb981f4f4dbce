"""Runs docker/make_secrets.sh where no Docker is: a stand-in notes what it is asked, and answers for the image."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

FROM_THE_IMAGE = "[]"


def make_secrets(folder: Path) -> list[str]:
    """Run the script in `folder`, beside which the stand-in is put; what Docker was asked, in this run and before."""
    docker, calls = folder.parent / "bin" / "docker", folder.parent / "calls"
    docker.parent.mkdir(exist_ok=True)
    docker.write_text(
        f'#!/bin/sh\necho "$*" >>{shlex.quote(str(calls))}\n[ "$1" = build ] || echo {shlex.quote(FROM_THE_IMAGE)}\n'
    )
    docker.chmod(0o755)
    environment = {**os.environ, "PATH": f"{docker.parent}:{os.environ['PATH']}"}
    subprocess.run(["sh", folder / "make_secrets.sh"], check=True, env=environment)
    return calls.read_text().splitlines()
