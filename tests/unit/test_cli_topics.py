"""What `pointsman topics apply` says."""

from __future__ import annotations

from pointsman.cli.topics import rows
from pointsman.topics import DECISIONS, MESSAGES, Topic

WANTED = [Topic(name=MESSAGES, key="workflow id"), Topic(name=DECISIONS, key="message id")]


def said(found: list[dict[str, str]]) -> dict[str, str]:
    return {row["name"]: row["state"] for row in found}


def test_each_topic_says_what_became_of_it() -> None:
    assert said(rows(WANTED, {MESSAGES}, dry_run=False)) == {MESSAGES: "is there", DECISIONS: "made"}


def test_a_dry_run_makes_nothing() -> None:
    assert said(rows(WANTED, set(), dry_run=True)) == {MESSAGES: "would be made", DECISIONS: "would be made"}
