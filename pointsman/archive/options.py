"""What the archive job is told. Anybody can read it on Flink's page: no secret belongs here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Final

from pointsman.job_options import as_arguments, parse_into
from pointsman.topics import DECISIONS, ERRORS, ESCALATIONS, MESSAGES

ARCHIVE_JOB: Final = "pointsman-archive"
ENTRY_MODULE: Final = "flink_jobs.archive_topics"
STATE: Final = ".state"
"""What stands behind the archive's own place in the place of its state, where nothing else is said."""

ARCHIVED: Final = (MESSAGES, DECISIONS, ESCALATIONS, ERRORS)
"""What is kept. Leads come again as messages, inboxes hold what messages and decisions say; the rest is compacted."""


@dataclass(frozen=True, kw_only=True)
class ArchiveOptions:
    """Arguments of the archive job; `--kafka-bootstrap` and so on.

    Attributes:
        kafka_bootstrap: Kafka's address as the TaskManagers see it.
        directory: where the files go, as the TaskManagers see it: a folder, or a URI such as `s3a://bucket/archive`.
        kafka_security_protocol: how the job reaches Kafka; certificates come from the JVM.
        kafka_sasl_mechanism: how it logs in, where the protocol is one of SASL.
        kafka_login_dir: folder with the job's own login as files, as JobManager and TaskManagers see it; empty: it logs
            in as its JVM does, which is right where no other job runs beside it.
        name: the job's name; its consumer group is named after it.
        parallelism: parallel readers and writers, one slot each.
        checkpoint_interval_ms: milliseconds between checkpoints; each one closes a file for each topic and day.
        state: a folder or URI below which its checkpoints and savepoints go, apart from those of other jobs; empty
            leaves them to the cluster's configuration.
    """

    kafka_bootstrap: str
    directory: str
    kafka_security_protocol: str = "PLAINTEXT"
    kafka_sasl_mechanism: str = "SCRAM-SHA-512"
    kafka_login_dir: str = ""
    name: str = ARCHIVE_JOB
    parallelism: int = 1
    checkpoint_interval_ms: int = 300_000
    state: str = ""

    @property
    def checkpoints(self) -> str:
        """Where checkpoints go, a URI; empty leaves them to the cluster."""
        return self._below_state("checkpoints")

    @property
    def savepoints(self) -> str:
        """Where a savepoint goes, a URI; empty leaves it to the cluster."""
        return self._below_state("savepoints")

    def _below_state(self, what: str) -> str:
        if not self.state:
            return ""
        # Flink takes no place of checkpoints without a scheme. It quotes a path itself.
        return f"{self.state if '://' in self.state else f'file://{self.state}'}/{what}"

    def arguments(self) -> list[str]:
        """As command-line arguments; `parse` reads them back."""
        return as_arguments(self)

    def parameters(self) -> dict[str, str]:
        """As the running job tells them over REST; `from_parameters` reads them back."""
        return {each.name: json.dumps(getattr(self, each.name)) for each in fields(self)}

    @staticmethod
    def from_parameters(parameters: Mapping[str, str]) -> ArchiveOptions:
        """Read what a running job says of itself; what it does not say has its default."""
        known = {each.name for each in fields(ArchiveOptions)}
        return ArchiveOptions(**{name: json.loads(text) for name, text in parameters.items() if name in known})

    @staticmethod
    def parse(arguments: Sequence[str]) -> ArchiveOptions:
        """Read arguments.

        Raises:
            SystemExit: an argument is unknown or malformed; the usage stands on stderr.
        """
        return ArchiveOptions(**parse_into(ArchiveOptions, arguments, prog="archive_topics"))
