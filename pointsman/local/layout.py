"""Where the local stack keeps what in its data folder."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pointsman.archive.options import STATE

PROJECT: Final = Path(__file__).resolve().parents[2]
CONNECTORS: Final = PROJECT / "connectors"
CONFIG: Final = Path(__file__).resolve().parent / "config"

# sun_path holds 104 bytes on macOS and 108 on Linux; supervisord binds a name 12 bytes longer before it renames it.
_LONGEST_SOCKET_PATH: Final = 90


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The data folder. Programs run with it as their working folder and name everything in it relatively.

    Relative names keep class paths, `log.dirs` and supervisord's configuration free of whatever stands in the path
    that leads here: spaces, colons, commas, per cent signs.

    Attributes:
        data_dir: absolute path of the data folder.
        shared_jars: folder of jars that several data folders share; `jars` is a link to it then.
    """

    data_dir: Path
    shared_jars: Path | None = None

    @property
    def run(self) -> Path:
        """What exists only while the stack runs: supervisord's configuration and socket."""
        return self.data_dir / "run"

    @property
    def logs(self) -> Path:
        """One rotated log file per program."""
        return self.data_dir / "logs"

    @property
    def jars(self) -> Path:
        """Jars fetched by Maven, and Flink's class path folder."""
        return self.data_dir / "jars"

    @property
    def flink_lib(self) -> Path:
        """Class path folder of Flink's cluster and client."""
        return self.jars / "flink-lib"

    @property
    def kafka(self) -> Path:
        """The broker's state."""
        return self.data_dir / "kafka"

    @property
    def mongodb(self) -> Path:
        """The database's state."""
        return self.data_dir / "mongodb"

    @property
    def flink(self) -> Path:
        """Flink's configuration, checkpoints and temporary files."""
        return self.data_dir / "flink"

    @property
    def checkpoints(self) -> Path:
        """Where the router job keeps its checkpoints."""
        return self.flink / "checkpoints"

    @property
    def savepoints(self) -> Path:
        """Where `pointsman job savepoint`, `stop` and `upgrade` write."""
        return self.flink / "savepoints"

    @property
    def working_state(self) -> Path:
        """Leads to where RocksDB works."""
        return self.flink / "state"

    @property
    def archive(self) -> Path:
        """The cold tier: a folder for each topic and day."""
        return self.data_dir / "archive"

    @property
    def archive_state(self) -> Path:
        """Checkpoints and savepoints of the archive job, apart from the router's."""
        return self.archive.with_name(f"{self.archive.name}{STATE}")

    @property
    def mailbox(self) -> Path:
        """One .eml file per mail that the SMTP sink received."""
        return self.data_dir / "mailbox"

    @property
    def ports_file(self) -> Path:
        """Ports in use, kept between runs."""
        return self.data_dir / "ports.json"

    @property
    def stack_file(self) -> Path:
        """Addresses of the running stack, under the names of `pointsman.settings.Settings`."""
        return self.data_dir / "stack.json"

    @property
    def lock_file(self) -> Path:
        """Held by whoever starts or stops the stack."""
        return self.data_dir / "stack.lock"

    @property
    def options_file(self) -> Path:
        """The choices that the running stack was started with."""
        return self.run / "options.json"

    @property
    def socket(self) -> Path:
        """The supervisor's control socket: in `run`, or in the temporary folder when the path there is too long."""
        beside = self.run / "supervisor.sock"
        if len(str(beside).encode()) <= _LONGEST_SOCKET_PATH:
            return beside
        digest = hashlib.sha256(str(self.data_dir).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"pointsman-{digest}.sock"

    def make_folders(self) -> None:
        """Create what must exist before any program starts."""
        for folder in (self.run, self.logs, self.kafka, self.mongodb, self.checkpoints, self.savepoints, self.mailbox):
            folder.mkdir(parents=True, exist_ok=True)
        self.run.chmod(0o700)
        if self.shared_jars is not None and not self.jars.exists():
            self.shared_jars.mkdir(parents=True, exist_ok=True)
            self.jars.unlink(missing_ok=True)
            self.jars.symlink_to(self.shared_jars.resolve(), target_is_directory=True)
