"""Finds the Java that runs the broker, Connect and Flink."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pointsman.errors import ConfigurationError

OLDEST: Final = 17
LONG_LIVED_JVM: Final = (
    "-XX:+UseSerialGC",
    "-Xshare:auto",
    # Otherwise a killed JVM leaves its statistics file in the temporary folder.
    "-XX:+PerfDisableSharedMem",
    "-XX:+ExitOnOutOfMemoryError",
    # What a killed JVM leaves is swept with the stack's own; relative to the data folder, where they all run.
    "-Djava.io.tmpdir=run",
)
"""JVM options of the programs that stay small and get faster the longer they run."""
# C1 alone: these programs start in half the time, and their heavy work is I/O.
SMALL_JVM: Final = (*LONG_LIVED_JVM, "-XX:TieredStopAtLevel=1")
"""JVM options of the programs that must start fast and stay small."""

_VERSION: Final = re.compile(r'version "(?:1\.)?(\d+)')


@dataclass(frozen=True, kw_only=True)
class Java:
    """A Java runtime found on this machine.

    Attributes:
        executable: path of `java`.
        version: its major version, or None when it did not say.
    """

    executable: Path
    version: int | None

    @property
    def is_new_enough(self) -> bool:
        """Whether Kafka and Flink run on it."""
        return self.version is not None and self.version >= OLDEST


def find_java(java_home: Path | None) -> Java | None:
    """The Java of `java_home` when given, else the one on the PATH; None when there is none."""
    if java_home is not None and java_home != Path():  # JAVA_HOME="" is as good as unset
        executable = java_home / "bin" / "java"
        if not os.access(executable, os.X_OK):
            return None
    else:
        on_path = shutil.which("java")
        if on_path is None:
            return None
        executable = Path(on_path)
    return Java(executable=executable, version=_version_of(executable))


def java_or_raise(java_home: Path | None) -> str:
    """Path of the java that `find_java` finds.

    Raises:
        ConfigurationError: there is none.
    """
    found = find_java(java_home)
    if found is None:
        raise ConfigurationError("there is no java", "install a JDK 17 or newer, or set JAVA_HOME")
    return str(found.executable)


def _version_of(executable: Path) -> int | None:
    try:
        said = subprocess.run(  # noqa: S603  # a fixed argument and a path that the user chose
            [executable, "-version"], capture_output=True, text=True, timeout=20, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VERSION.search(said.stderr + said.stdout)
    return int(found.group(1)) if found else None
