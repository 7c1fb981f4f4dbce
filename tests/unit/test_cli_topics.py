"""What `pointsman topics apply` says."""

from __future__ import annotations

from pointsman.cli.topics import lines
from pointsman.topics import DECISIONS, MESSAGES, Topic

WANTED = [Topic(name=MESSAGES, key="workflow id"), Topic(name=DECISIONS, key="message id")]


def test_each_topic_has_a_line_that_says_what_became_of_it() -> None:
    assert lines(WANTED, {MESSAGES}, dry_run=False) == ["agent_messages  is there", "agent_decisions  made"]


def test_a_dry_run_makes_nothing() -> None:
    assert lines(WANTED, set(), dry_run=True) == ["agent_messages  would be made", "agent_decisions  would be made"]
