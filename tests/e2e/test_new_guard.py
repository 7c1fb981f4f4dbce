"""`--new-guard`: the job of a release that counts otherwise goes on without counts, and with everything that waits."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pointsman.envelope import from_rfc3339
from pointsman.topics import MESSAGES
from tests.e2e.system import ROOT, System, hot_lead
from tests.e2e.test_upgrade import leads_coming
from tests.e2e.under_way import UnderWay, write_definitions
from tests.witness import eventually

pytestmark = pytest.mark.long

EVENTS_OF_A_HOT_LEAD = 5
MODEL_TAKES_MS = 3000
UPGRADED_WITHIN_S = 300
JUST_READ = timedelta(seconds=0.5)
BEGAN = "MIN(timestamp_ms) OVER of_workflow AS began_ms"


@pytest.fixture
def other_release(tmp_path: Path) -> Path:
    """A checkout whose guard keeps other state than this one's: it counts one thing more."""
    for room in ("pointsman", "flink_jobs", "sql"):
        shutil.copytree(ROOT / room, tmp_path / room, ignore=shutil.ignore_patterns("__pycache__"))
    exchange(tmp_path / "flink_jobs" / "sql_files.py", r'GUARD_STATE: Final = "\w+"', 'GUARD_STATE: Final = "other"')
    more = BEGAN.replace(" AS ", " + 0 * MAX(timestamp_ms) OVER of_workflow AS ")
    exchange(tmp_path / "sql" / "counted_messages.sql", re.escape(BEGAN), more)
    return tmp_path


def exchange(file: Path, pattern: str, by: str) -> None:
    text, found = re.subn(pattern, by, file.read_text())
    assert found == 1
    file.write_text(text)


@pytest.fixture
def under_way(system: System) -> Iterator[UnderWay]:
    """A plan, a cancelled workflow, counts; and afterwards the job of this checkout again."""
    with system.edited_definitions() as folder:
        write_definitions(folder)
        system.cli("agents", "apply", str(folder))
        system.wait_for_router()
        begun = UnderWay(system, f"guard-{uuid.uuid4().hex[:8]}")
        begun.begin()
        yield begun
        upgrade(system, ROOT, "--new-guard")


def upgrade(system: System, checkout: Path, *arguments: str, expect: int = 0) -> str:
    """`pointsman job upgrade` as the user of that checkout runs it; what it says to people."""
    done = subprocess.run(
        [sys.executable, "-m", "pointsman", "job", "upgrade", *arguments], cwd=checkout, env=system.env,
        capture_output=True, text=True, timeout=UPGRADED_WITHIN_S, check=False,
    )  # fmt: skip
    assert done.returncode == expect, done.stdout + done.stderr
    return done.stderr


@pytest.mark.timeout(900)
def test_what_waits_goes_on_and_what_was_counted_is_counted_anew(
    system: System, under_way: UnderWay, other_release: Path
) -> None:
    early, address = system.insert(hot_lead())
    eventually(lambda: system.outcomes(early)[-1:] == ["completed"], within_s=60, what="a lead from before")
    is_refused_without(system, other_release)

    with system.model_control(latency_ms=MODEL_TAKES_MS), leads_coming(system) as leads:
        eventually(lambda: len(leads) >= 8, what="leads before the upgrade")
        under_way.ask()
        job, before = system.job_id(), len(leads)
        upgrade(system, other_release, "--new-guard")
        meanwhile = len(leads) - before
        eventually(lambda: len(leads) >= before + meanwhile + 3, what="leads after the upgrade")
    assert meanwhile > 0
    each_lead_has_one_mail_and_a_decision_per_message(system, leads)
    assert waited_in_state(system, job), "the model had answered everything, so this run proves nothing"
    under_way.questions_are_answered()
    under_way.plan_goes_on()
    under_way.cancellation_holds()

    is_decided_again_and_mailed_once(system, early, address)


def is_refused_without(system: System, other_release: Path) -> None:
    """The other release says what is in the way, and the job of this one goes on from where it was."""
    said = upgrade(system, other_release, expect=1)
    assert "another release kept" in said, said
    found = re.search(r"`(pointsman job submit --restore .+)`", said)
    assert found, said
    place = shlex.split(found[1])[-1]
    limits = str(system.data_dir / "workflow_limits.toml")
    system.cli("job", "submit", "--restore", place, "--limits", limits, "--checkpoint-interval-ms", "200",
               within_s=UPGRADED_WITHIN_S)  # fmt: skip
    eventually(lambda: "RUNNING" in system.cli("job", "status").stdout, within_s=60, what="the job of this checkout")
    system.wait_for_router()


def each_lead_has_one_mail_and_a_decision_per_message(system: System, leads: dict[str, str]) -> None:
    eventually(lambda: all(system.mails_of(leads.values()).values()), within_s=120, what="all mails")
    # Not as the last one: outcomes come in the order of steps, and those are counted anew.
    eventually(lambda: all("completed" in each for each in system.outcomes_of(leads).values()), within_s=60,
               what="all completions")  # fmt: skip
    assert set(system.mails_of(leads.values()).values()) == {1}
    # The position goes back to the last checkpoint's, so that a message may be decided again.
    assert min(system.messages_of(leads).values()) == EVENTS_OF_A_HOT_LEAD
    assert min(map(len, system.outcomes_of(leads).values())) == EVENTS_OF_A_HOT_LEAD


def waited_in_state(system: System, job: str) -> list[dict[str, Any]]:
    """What the model was being asked about when that job stopped."""
    latest = system.flink(f"/jobs/{job}/checkpoints")["latest"]["savepoint"]
    stopped = datetime.fromtimestamp(latest["trigger_timestamp"] / 1000, UTC)
    came = {seen.header("ce_id"): seen.header("ce_time") for seen in system.witness.read(MESSAGES)}
    asked = [decision for decision in system.all_decisions() if decision["how"] == "model"]
    return [
        decision
        for decision in asked
        if (time := came[decision["message_id"]])
        and from_rfc3339(time) + JUST_READ < stopped < from_rfc3339(decision["decided_at"])
    ]


def is_decided_again_and_mailed_once(system: System, workflow: str, address: str) -> None:
    """The lead's first message comes a second time: it goes the whole way once more, under the same ids."""
    first = next(seen for seen in system.messages(workflow) if seen.type == "lead.received")
    system.witness.write_many(MESSAGES, [(first.key, first.value, first.headers)])
    twice = 2 * EVENTS_OF_A_HOT_LEAD
    eventually(lambda: len(system.outcomes(workflow)) == twice, within_s=60, what="every decision a second time")
    decisions = system.witness.decisions(workflow)
    assert set(Counter(decision["message_id"] for decision in decisions).values()) == {2}
    steps = Counter(decision["step"] for decision in decisions)
    assert steps == dict.fromkeys(range(1, EVENTS_OF_A_HOT_LEAD + 1), 2), "counts begin anew"
    assert len(system.mails_to(address)) == 1
    assert system.effects(workflow) == ["sent"]
