"""The topic of dead letters is gone: nothing is dropped, everything waits until it is back."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from kafka.admin import KafkaAdminClient

from pointsman import topics
from pointsman.kafka import KafkaAdmin
from tests.chaos.lab import Experiment, Lab
from tests.witness import eventually

MISSING_S = 20
SHORTER_THAN_MISSING_S = 5
POISON = 10


@pytest.mark.critical
def test_the_topic_of_dead_letters_is_missing(lab: Lab) -> None:
    experiment = lab.experiment("F25", f"the topic of dead letters is missing for {MISSING_S} s, with poison under way")
    restarts, router = lab.system.job_restarts(), lab.system.busy_taskmanager()
    experiment.load()
    with _no_errors_topic(lab):
        experiment.injected += 1
        since = time.monotonic()
        _write_poison(lab)
        eventually(lambda: _complains(lab, router), within_s=30, what="the router's log names the topic")
        eventually(lambda: _complains(lab, "agent-lead_scoring"), within_s=30, what="the agent's log names the topic")
        assert _nothing_is_decided(experiment), "messages were routed although dead letters could not be written"
        assert f"fix kafka {topics.ERRORS}" in lab.system.cli("doctor", expect=1).stdout
        experiment.stand_still_until(since + MISSING_S)
    experiment.routing_again(time.monotonic())
    experiment.finish()
    letters = Counter((seen.value, seen.header("x_error_stage")) for seen in lab.system.witness.read(topics.ERRORS))
    expected = {(b"poison %d" % number, stage): 1 for number in range(POISON) for stage in _STAGES}
    assert {poison: letters[poison] for poison in expected} == expected
    assert lab.system.job_restarts() == restarts


_STAGES = {"router": topics.MESSAGES, "agent/lead_scoring": topics.inbox("lead_scoring")}


@contextmanager
def _no_errors_topic(lab: Lab) -> Iterator[None]:
    bootstrap = lab.system.settings["kafka_bootstrap"]
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        admin.delete_topics([topics.ERRORS])
        eventually(lambda: topics.ERRORS not in lab.system.witness.topics(), what="a broker without the topic")
        yield
    finally:
        admin.close()
        KafkaAdmin(bootstrap).ensure_topics(topics.ALL)


def _write_poison(lab: Lab) -> None:
    for topic in _STAGES.values():
        for number in range(POISON):
            lab.system.witness.write(topic, b"poison %d" % number, key=b"poison")


def _complains(lab: Lab, program: str) -> bool:
    log = (lab.system.data_dir / "logs" / f"{program}.log").read_text(errors="replace")
    return any(topics.ERRORS in line and "UNKNOWN_TOPIC" in line for line in log.splitlines()[-2000:])


def _nothing_is_decided(experiment: Experiment) -> bool:
    probe = experiment.send("email.sent", {"probe": "while the topic is missing"})
    experiment.stand_still_until(time.monotonic() + SHORTER_THAN_MISSING_S)
    seen = experiment.lab.tail.records(experiment.began)
    return not any(one.workflow == probe and one.topic == topics.DECISIONS for one in seen)
