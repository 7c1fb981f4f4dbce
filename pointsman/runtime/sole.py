"""One process per instance on this machine."""

from __future__ import annotations

import fcntl
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pointsman.errors import ConfigurationError


@contextmanager
def sole_instance(folder: Path, cluster: str, agent: str, instance: str) -> Iterator[None]:
    """Hold the lock of this instance; the system gives it back when the process dies, however it dies.

    Processes on other machines are kept apart by Kafka, which fences the older of the two. Here the newer one is
    refused at once. Where `folder` cannot be written, Kafka's fencing is all there is.

    Args:
        folder: where lock files live.
        cluster: the broker's address: the same agent may run once per cluster.
        agent: the agent's name.
        instance: name of the instance.

    Raises:
        ConfigurationError: another process holds it.
    """
    place = hashlib.sha256(cluster.encode()).hexdigest()[:8]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / f"agent-{place}-{agent}-{instance}.lock").open("w")
    except OSError:
        yield
        return
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            what = f"agent {agent} already runs as instance {instance} on this machine"
            raise ConfigurationError(what, "stop that process, or choose another --instance") from None
        yield
