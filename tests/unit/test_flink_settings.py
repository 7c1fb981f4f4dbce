"""What the router job tells Flink."""

from __future__ import annotations

import pytest

from flink_jobs.route_messages import settings
from pointsman.job_options import JobOptions


@pytest.mark.parametrize(("python_mode", "bundle_ms"), [("process", 2), ("thread", 1000)])
def test_bundles_are_ended_soon_where_there_are_any_and_nobody_is_woken_for_them_elsewhere(
    python_mode: str, bundle_ms: int
) -> None:
    told = settings(JobOptions(kafka_bootstrap="k:9092", python_mode=python_mode))
    assert told["python.execution-mode"] == python_mode
    assert int(told["python.fn-execution.bundle.time"]) == bundle_ms


def test_no_record_waits_for_a_network_buffer_to_fill() -> None:
    assert settings(JobOptions(kafka_bootstrap="k:9092"))["execution.buffer-timeout.interval"] == "0 ms"
