"""Messages come twice, too late, or are none."""

from __future__ import annotations

import os

import pytest

from pointsman import topics
from tests.chaos.lab import Lab
from tests.chaos.repeats import Repeater
from tests.witness import Seen, eventually

ENVELOPE = {"ce_specversion": b"1.0", "ce_source": b"/test", "ce_type": b"lead.scored"}


@pytest.mark.critical
def test_every_message_delivered_three_times_and_shuffled(lab: Lab) -> None:
    experiment = lab.experiment("F36", "every message delivered three times, shuffled within 5 s")

    def ours(record: Seen) -> bool:
        return record.workflow in experiment.workflows and record.topic not in {"agent_decisions", "agent_errors"}

    repeater = Repeater(lab.tail, lab.system.settings["kafka_bootstrap"], experiment.dice_for_a_thread(), ours)
    try:
        experiment.load()
        experiment.loaded()
        # Each lead takes five messages and four inbox records, most of them thrice by now.
        eventually(lambda: not experiment.account().open(), within_s=200, every_s=1, what="all leads at an end")
        eventually(lambda: not repeater._due, within_s=60, what="the last repeat")
        experiment.injected = repeater.repeated
        experiment.finish(repeats_delivered=True)
    finally:
        repeater.close()
    assert repeater.repeated > 5 * lab.tier.leads
    for workflow in experiment.mailed:
        assert len(lab.partners.mail.to(experiment.workflows[workflow])) == 1


def _poison(mark: bytes) -> list[tuple[str, bytes | None, dict[str, bytes], str]]:
    """One record of every kind of garbage: topic, value, headers, reason of its dead letter."""

    def numbered(number: int) -> dict[str, bytes]:
        return {**ENVELOPE, "ce_id": mark + b"%d" % number, "ce_workflowid": b"poison-" + mark}

    inbox = topics.inbox("lead_scoring")
    return [
        (topics.MESSAGES, b"\xff\xfe" + mark, {}, "not_a_message"),
        (topics.MESSAGES, b"no json " + mark, numbered(1), "invalid_json"),
        (topics.MESSAGES, b'{"n": NaN, "mark": "' + mark + b'"}', numbered(2), "invalid_json"),
        (topics.MESSAGES, b"[" * 5000 + mark, numbered(3), "invalid_json"),
        (
            topics.MESSAGES,
            b'{"hop": "' + mark + b'"}',
            {**numbered(4), "ce_hop": b"-1"},
            "not_a_message",
        ),
        (topics.MESSAGES, b'{"mark": "' + mark + b'"}', numbered(5), "contract_violation"),
        (topics.MESSAGES, mark + b"x" * 2_000_000, numbered(6), "too_large"),
        (topics.LEADS, b"not even json " + mark, {}, "invalid_json"),
        (topics.LEADS, b'["' + mark + b'"]', {}, "invalid_json"),
        (topics.DEFINITIONS, b"name: not json " + mark, {}, "invalid_definition"),
        (inbox, b"\x00\x01\x02" + mark, {}, "not_a_message"),
        (
            inbox,
            b'{"in": "' + mark + b'"}',
            {**numbered(7), "ce_type": b"no.such"},
            "unknown_event_type",
        ),
    ]


def test_poison_of_every_kind_under_load(lab: Lab) -> None:
    experiment = lab.experiment("F24", "poison of every kind on every topic, under load")
    restarts = lab.system.job_restarts()
    experiment.load()
    written: list[tuple[bytes | None, dict[str, bytes], str]] = []
    for _ in range(4):
        poison = _poison(os.urandom(6).hex().encode())
        experiment.dice.shuffle(poison)
        for topic, value, headers, reason in poison:
            lab.system.witness.write(topic, value, key=b"poison", headers=headers)
            written.append((value, headers, reason))
    experiment.injected = len(written)
    experiment.finish()
    letters = {seen.value: seen for seen in lab.system.witness.read(topics.ERRORS)}
    for value, headers, reason in written:
        assert letters[value].header("x_error_reason") == reason
        assert {name: letters[value].headers[name] for name in headers} == headers
    assert lab.system.job_restarts() == restarts
