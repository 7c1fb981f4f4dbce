"""The kill switch: closed until read, the latest word counts, and what cannot be read means stopped."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.audit import Action, read_entry
from pointsman.controls import EffectsControl, read_effects
from pointsman.envelope import Record
from pointsman.runtime.effects_switch import EffectsSwitch
from pointsman.topics import AUDIT, CONTROLS

AT = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)


def switched(offset: int, *, is_allowed: bool) -> Record:
    control = EffectsControl(is_allowed=is_allowed, by="ann", at=AT, reason="a test")
    return replace(control.records()[0], partition=0, offset=offset)


def test_nothing_may_begin_before_the_control_was_read() -> None:
    switch = EffectsSwitch()
    assert not switch.is_allowed()
    switch.start_with(None)
    assert switch.is_allowed()


def test_a_stopped_system_stays_stopped_over_a_restart_although_older_words_are_read_again() -> None:
    switch = EffectsSwitch()
    switch.start_with(switched(2, is_allowed=False))
    for offset in (0, 1, 2):
        switch.take(switched(offset, is_allowed=True))
        assert not switch.is_allowed()
    switch.take(switched(3, is_allowed=True))
    assert switch.is_allowed()


def test_news_that_overtakes_the_first_look_is_not_forgotten() -> None:
    switch = EffectsSwitch()
    switch.take(switched(0, is_allowed=False))
    switch.start_with(None)
    assert not switch.is_allowed()


@given(st.lists(st.booleans(), min_size=1), st.integers(min_value=0))
def test_however_often_and_from_where_it_is_read_the_latest_word_counts(words: list[bool], start: int) -> None:
    records = [switched(offset, is_allowed=word) for offset, word in enumerate(words)]
    switch = EffectsSwitch()
    switch.start_with(records[start % len(records)])
    for record in records + records:
        switch.take(record)
    assert switch.is_allowed() is words[-1]


@pytest.mark.parametrize("value", [b"", b"\xff", b"[]", b"{}", b'{"effects": "paused", "by": "a", "at": "x"}', b"1"])
def test_a_control_that_cannot_be_read_means_stopped(value: bytes) -> None:
    control = read_effects(Record(topic=CONTROLS, key=b"effects", value=value, headers={}))
    assert not control.is_allowed


def test_other_controls_change_nothing() -> None:
    switch = EffectsSwitch()
    switch.start_with(None)
    switch.take(replace(switched(0, is_allowed=False), key=b"other"))
    assert switch.is_allowed()


def test_a_control_that_was_removed_means_allowed() -> None:
    assert read_effects(Record(topic=CONTROLS, key=b"effects", value=None, headers={})).is_allowed
    assert read_effects(None).is_allowed


@pytest.mark.parametrize(("is_allowed", "action"), [(False, Action.EFFECTS_STOPPED), (True, Action.EFFECTS_STARTED)])
def test_switching_says_who_when_and_why_and_leaves_an_audit_record(is_allowed: bool, action: Action) -> None:
    control = EffectsControl(is_allowed=is_allowed, by="ann", at=AT, reason="a test")
    record, audit = control.records()
    assert (record.topic, record.key, audit.topic) == (CONTROLS, b"effects", AUDIT)
    assert read_effects(record) == control
    entry = read_entry(audit)
    assert entry is not None
    assert (entry.action, entry.by, entry.subject, entry.details) == (action, "ann", "effects", {"reason": "a test"})
