"""The few calls of Flink's REST API that Pointsman makes."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlsplit

from pointsman.errors import ConfigurationError, PointsmanError, TransientError

TIMEOUT_S: Final = 10.0
_LOOK_AGAIN_S: Final = 0.1
ENDED: Final = frozenset({"FINISHED", "CANCELED", "FAILED"})


class FlinkUnavailableError(TransientError):
    """The Flink JobManager did not answer."""


class FlinkRefusedError(PointsmanError):
    """The Flink JobManager answered, and the answer is no."""


@dataclass(frozen=True, kw_only=True)
class FlinkJob:
    """A job on the cluster.

    Attributes:
        id: Flink's id of it, hex.
        name: its name.
        state: `RUNNING`, `RESTARTING`, `FINISHED`, ...
        started_ms: when it started, milliseconds since 1970.
    """

    id: str
    name: str
    state: str
    started_ms: int

    @property
    def has_ended(self) -> bool:
        """Whether it will never run again."""
        return self.state in ENDED


class FlinkRest:
    """A JobManager's REST API.

    Args:
        url: its address, e.g. `http://127.0.0.1:8081`.
    """

    def __init__(self, url: str) -> None:
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ConfigurationError(
                f"{url} is no address of Flink", "set POINTSMAN_FLINK_URL, e.g. http://127.0.0.1:8081"
            )
        self._parts = parts

    @property
    def host_and_port(self) -> tuple[str, int]:
        """Where it listens."""
        return self._parts.hostname or "", self._parts.port or (443 if self._parts.scheme == "https" else 80)

    def jobs(self) -> list[FlinkJob]:
        """All jobs that the cluster remembers, the latest start first."""
        listed = self.get("/jobs/overview")["jobs"]
        jobs = [
            FlinkJob(id=job["jid"], name=job["name"], state=job["state"], started_ms=job["start-time"])
            for job in listed
        ]
        return sorted(jobs, key=lambda job: job.started_ms, reverse=True)

    def live_job(self, name: str) -> FlinkJob | None:
        """The job called `name` that has not ended, if there is one."""
        return next((job for job in self.jobs() if job.name == name and not job.has_ended), None)

    def last_snapshot(self, job_id: str) -> str | None:
        """Place of the job's latest completed savepoint or checkpoint, whichever is newer; None if it has none."""
        latest = self.get(f"/jobs/{quote(job_id)}/checkpoints").get("latest") or {}
        completed = [latest[kind] for kind in ("completed", "savepoint") if latest.get(kind)]
        newest = max(completed, key=lambda snapshot: int(snapshot["id"]), default=None)
        return str(newest["external_path"]) if newest else None

    def parameters(self, job_id: str) -> dict[str, str]:
        """What the job says of itself."""
        said: dict[str, str] = self.get(f"/jobs/{quote(job_id)}/config")["execution-config"]["user-config"]
        return said

    def slots(self) -> int:
        """Slots of all TaskManagers, taken or free."""
        return int(self.get("/overview")["slots-total"])

    def cancel(self, job_id: str) -> None:
        """Stop a job at once; its last checkpoint stays."""
        self._call("PATCH", f"/jobs/{quote(job_id)}?mode=cancel")

    def savepoint(self, job_id: str, directory: str | None, timeout_s: float) -> str:
        """Write a savepoint; its place."""
        body = {"target-directory": directory, "cancel-job": False}
        return self._operation(job_id, "savepoints", body, timeout_s)

    def stop(self, job_id: str, directory: str | None, timeout_s: float) -> str:
        """Stop a job with a savepoint; its place."""
        body = {"targetDirectory": directory, "drain": False}
        return self._operation(job_id, "stop", body, timeout_s)

    def wait_for(self, what: str, is_so: Callable[[], bool], timeout_s: float) -> None:
        """Wait until `is_so`.

        Raises:
            FlinkUnavailableError: it did not become so in time.
        """
        deadline = time.monotonic() + timeout_s
        while not is_so():
            if time.monotonic() > deadline:
                raise FlinkUnavailableError(f"Flink at {self.url}: {what} took longer than {timeout_s:g} s")
            time.sleep(_LOOK_AGAIN_S)

    def get(self, path: str) -> Any:
        """The JSON answer to a GET.

        Raises:
            FlinkUnavailableError: nobody answers.
            FlinkRefusedError: an answer other than 2xx.
        """
        return self._call("GET", path)

    def _operation(self, job_id: str, kind: str, body: dict[str, Any], timeout_s: float) -> str:
        request = self._call("POST", f"/jobs/{quote(job_id)}/{kind}", body)["request-id"]
        path = f"/jobs/{quote(job_id)}/savepoints/{quote(request)}"
        done: dict[str, Any] = {}

        def is_done() -> bool:
            done.update(self.get(path))
            return bool(done["status"]["id"] == "COMPLETED")

        self.wait_for("the savepoint", is_done, timeout_s)
        location = done["operation"].get("location")
        if not location:
            raise FlinkRefusedError(f"Flink at {self.url} wrote no savepoint of job {job_id}; see the JobManager's log")
        return str(location)

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        secure = self._parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(*self.host_and_port, timeout=TIMEOUT_S)
        sent = None if body is None else json.dumps(body)
        try:
            connection.request(method, f"{self._parts.path}{path}", sent, {"content-type": "application/json"})
            response = connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException) as error:
            why = type(error).__name__
            raise FlinkUnavailableError(f"Flink at {self.url} does not answer ({why}); is it started?") from error
        finally:
            connection.close()
        if response.status >= 300:
            raise FlinkRefusedError(f"Flink at {self.url} answered {response.status} to {method} {path}")
        return json.loads(text or b"{}")
