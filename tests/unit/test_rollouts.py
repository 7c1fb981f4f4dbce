"""Rollouts: who belongs to the candidate, what is counted, when it is given up, how it moves from stage to stage."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.audit import Action, read_entry
from pointsman.catalog import MANIFEST_KEY, ROLLOUT_KEY, Catalog
from pointsman.catalog_history import Author, catalog_json
from pointsman.console.rollout_watch import RolloutWatch
from pointsman.console.view import View
from pointsman.definitions.model import Accepts, AgentDefinition, Emits
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError, PermanentError, RefusedError
from pointsman.rollouts import acts
from pointsman.rollouts.arms import arms
from pointsman.rollouts.counting import Counts, RolloutCounts, Tally, violated
from pointsman.rollouts.file import candidate_of, read_spec
from pointsman.rollouts.model import Arm, RampStep, Rollout, Rule, Stage, Version, latest_rollout, parse_rollout
from pointsman.rollouts.versions import VersionReader, versions_of
from pointsman.rollouts.watching import watch
from pointsman.routing.router import RoutingOptions
from pointsman.topics import DECISIONS, DEFINITIONS, ERRORS, SHADOW_DECISIONS, inbox
from tests.definitions import GOOD, MemoryCatalogTopic

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
NOW_MS = int(NOW.timestamp() * 1000)
ME = Author(by="dana", at=NOW)


def agent(name: str, version: str = "1.0.0", description: str = "d") -> AgentDefinition:
    return AgentDefinition(
        name=name,
        version=version,
        description=description,
        accepts=[Accepts(type="lead.scored", contract={"type": "object"})],
        emits=[Emits(type="mail.sent", contract={"type": "object"}, terminal=True)],
    )


IN_FORCE = Catalog.of([agent("warm"), agent("cold")], sequence=3)
OTHER = Catalog.of([agent("warm", "2.0.0", "another"), agent("cold")])


def rollout(stage: Stage = Stage.CANARY, *steps: tuple[int, int], **changes: object) -> Rollout:
    made = Rollout(
        id="r", stage=stage, baseline=Version(), candidate=Version(model="new"),
        ramp=tuple(RampStep(at_ms=at_ms, percent=percent) for at_ms, percent in steps),
        by="dana", at=NOW, started_at=NOW,
    )  # fmt: skip
    return replace(made, **changes)  # type: ignore[arg-type]


class Topic(MemoryCatalogTopic):
    """The catalog's topic in memory, with the rollout on it."""

    def rollout(self) -> Rollout | None:
        return latest_rollout(self.records)


def topic_with(catalog: Catalog = IN_FORCE) -> Topic:
    topic = Topic()
    topic.publish(catalog.records(Catalog()))
    return topic


def plan(candidate: Version, stage: Stage = Stage.CANARY, percent: int = 10) -> acts.Plan:
    return acts.Plan(name="try", candidate=candidate, stage=stage, percent=percent, rule=Rule())


def test_a_share_of_ten_percent_is_about_a_tenth_of_the_workflows_and_of_each_thousand() -> None:
    trying = rollout(Stage.CANARY, (0, 10))
    for start in range(0, 10_000, 1_000):
        mine = sum(trying.arm_of(f"w-{n}", 1) is Arm.CANDIDATE for n in range(start, start + 1_000))
        assert 60 <= mine <= 140


@given(workflow=st.text(max_size=30), first=st.integers(0, 100), later=st.integers(0, 100), began=st.integers(0, 999))
def test_a_workflow_keeps_its_side_however_the_share_changes_afterwards(
    workflow: str, first: int, later: int, began: int
) -> None:
    before = rollout(Stage.CANARY, (0, first))
    ramped = rollout(Stage.CANARY, (0, first), (1_000, later))
    promoted = rollout(Stage.PROMOTED, (0, first), (1_000, 100))
    side = before.arm_of(workflow, began)
    assert ramped.arm_of(workflow, began) is side
    assert promoted.arm_of(workflow, began) is side
    assert promoted.arm_of(workflow, 1_000) is Arm.CANDIDATE


@given(workflow=st.text(max_size=30), share=st.integers(0, 99))
def test_a_larger_share_holds_the_smaller_one(workflow: str, share: int) -> None:
    is_in = rollout(Stage.CANARY, (0, share)).arm_of(workflow, 1) is Arm.CANDIDATE
    assert not is_in or rollout(Stage.CANARY, (0, share + 1)).arm_of(workflow, 1) is Arm.CANDIDATE


def test_what_the_message_says_of_its_workflows_side_comes_before_the_clock() -> None:
    trying = rollout(Stage.CANARY, (0, 0))
    assert trying.arm_of("w", 5, "r/candidate") is Arm.CANDIDATE
    assert rollout(Stage.CANARY, (0, 100)).arm_of("w", 5, "r/baseline") is Arm.BASELINE
    assert trying.arm_of("w", 5, "another/candidate") is Arm.BASELINE


@pytest.mark.parametrize("stage", [Stage.SHADOW, Stage.ABORTED, Stage.ROLLED_BACK])
def test_nothing_is_the_candidates_in_shadow_or_after_it_was_given_up(stage: Stage) -> None:
    assert rollout(stage, (0, 100)).arm_of("w", 5, "r/candidate") is Arm.BASELINE


def test_a_rollout_survives_the_wire() -> None:
    sent = rollout(
        Stage.CANARY, (1, 10), (2, 50), rule=Rule(min_decisions=5, error_rate=0.1), reason="why",
        candidate=Version(prompt="p", agents=catalog_json(OTHER), inboxes={"warm": "2.0.0"}),
    )  # fmt: skip
    assert latest_rollout([sent.to_record()]) == sent


@pytest.mark.parametrize("value", [b"", b"[]", b"{}", b'{"stage": "shadow"}', b"[" * 100_000])
def test_garbage_is_no_rollout(value: bytes) -> None:
    with pytest.raises(PermanentError):
        parse_rollout(value)
    assert latest_rollout([Record(topic=DEFINITIONS, key=ROLLOUT_KEY.encode(), value=value, headers={})]) is None


def decided(arm: str, outcome: str = "routed", agent: str | None = "warm") -> Record:
    entry = {"release": f"r/{arm}", "outcome": outcome, "agent": agent}
    value = json.dumps(entry, separators=(",", ":")).encode()
    return Record(topic=DECISIONS, key=b"m", value=value, headers={})


def shadowed(live: str | None, shadow: str | None, skipped: int = 0) -> Record:
    entry = {
        "message_id": "m", "workflow_id": "w", "event_type": "t", "release": "r/candidate", "skipped": skipped,
        "live": {"outcome": "routed" if live else "abstained", "agent": live},
        "outcome": "routed" if shadow else "abstained", "agent": shadow,
    }  # fmt: skip
    return Record(topic=SHADOW_DECISIONS, key=b"m", value=json.dumps(entry, separators=(",", ":")).encode(), headers={})


def counted(*records: Record) -> Counts:
    counts = RolloutCounts()
    for record in records:
        counts.feed(record)
    return counts.of("r")


def test_each_side_is_counted_with_the_dead_letters_of_its_agents() -> None:
    by_agent = {"x_error_stage": b"agent/warm", "ce_release": b"r/candidate"}
    by_router = {**by_agent, "x_error_stage": b"router"}
    counts = counted(
        decided("candidate"), decided("candidate", "abstained", None), decided("baseline"),
        Record(topic=ERRORS, key=b"w", value=b"", headers=by_agent),
        Record(topic=ERRORS, key=b"w", value=b"", headers=by_router),
        Record(topic=DECISIONS, key=b"m", value=b'{"release":null,"outcome":"routed"}', headers={}),
    )  # fmt: skip
    candidate = counts.arms[Arm.CANDIDATE]
    assert (candidate.decisions, candidate.abstained, candidate.errors) == (2, 1, 1)
    assert counts.arms[Arm.BASELINE].targets == {"warm": 1}


def test_differences_of_a_shadow_are_counted_and_named() -> None:
    counts = counted(shadowed("warm", "warm"), shadowed("warm", "cold", 3), shadowed(None, "cold"))
    assert (counts.shadow.decisions, counts.disagreed, counts.skipped) == (3, 2, 3)
    assert counts.pairs == {("warm", "warm"): 1, ("warm", "cold"): 1, ("abstained", "cold"): 1}
    assert [(one.live, one.shadow) for one in counts.differences] == [("warm", "cold"), ("abstained", "cold")]


@pytest.mark.parametrize(
    ("stage", "rule", "reason"),
    [
        (Stage.CANARY, Rule(min_decisions=10, error_rate=0.1), "error rate 0.200 of 10 decisions is above 0.1"),
        (Stage.CANARY, Rule(min_decisions=10, abstain_rate=0.25), "abstain rate 0.300 of 10 decisions is above 0.25"),
        (Stage.CANARY, Rule(min_decisions=10, error_rate=0.2, abstain_rate=0.3), None),
        (Stage.CANARY, Rule(min_decisions=11, error_rate=0.0), None),
        (Stage.CANARY, Rule(min_decisions=1, disagreement=0.0), None),
        (Stage.SHADOW, Rule(min_decisions=4, disagreement=0.4), "disagreement 0.500 of 4 decisions is above 0.4"),
        (Stage.PROMOTED, Rule(min_decisions=1, error_rate=0.0), None),
    ],
)
def test_a_candidate_is_given_up_only_as_its_rule_says(stage: Stage, rule: Rule, reason: str | None) -> None:
    candidate = Tally(decisions=10, abstained=3, errors=2)
    counts = Counts(arms={Arm.BASELINE: Tally(), Arm.CANDIDATE: candidate}, shadow=Tally(decisions=4), disagreed=2)
    assert violated(rollout(stage, (0, 10), rule=rule), counts) == reason


def test_starting_makes_the_inboxes_first_and_keeps_the_candidates_catalog() -> None:
    topic = topic_with()
    begun = acts.start(topic, plan(Version(agents=catalog_json(OTHER))), ME)
    assert begun.candidate.inboxes == {"warm": "2.0.0"}
    assert inbox("warm", "2.0.0") in topic.topics
    assert topic.log.index("topics") < topic.log.index("begin", 1)
    assert OTHER.version.encode() in {record.key for record in topic.records if record.topic == "agent_catalogs"}
    assert topic.load().version == IN_FORCE.version
    assert topic.rollout() == begun
    assert versions_of(begun) == [("warm", "2.0.0")]
    entry = read_entry(topic.records[-1])
    assert entry is not None
    assert (entry.action, entry.by, entry.subject) == (Action.ROLLOUT_STARTED, "dana", f"rollouts/{begun.id}")


def test_nothing_begins_beside_a_rollout_that_is_under_way() -> None:
    topic = topic_with()
    acts.start(topic, plan(Version(model="new")), ME)
    with pytest.raises(RefusedError, match="is under way"):
        acts.start(topic, plan(Version(model="newer")), ME)


@pytest.mark.parametrize(
    ("candidate", "why"),
    [
        (Version(agents=catalog_json(IN_FORCE)), "in force already"),
        (
            Version(agents=catalog_json(Catalog.of([agent("warm", description="x"), agent("cold")]))),
            "keeps its version",
        ),
    ],
)
def test_a_candidate_must_differ_and_changed_agents_must_say_so(candidate: Version, why: str) -> None:
    with pytest.raises(RefusedError, match=why):
        acts.start(topic_with(), plan(candidate), ME)


def test_promoting_puts_the_catalog_in_force_after_the_rollout_that_explains_it() -> None:
    topic = topic_with()
    acts.start(topic, plan(Version(agents=catalog_json(OTHER), model="new")), ME)
    promoted = acts.promote(topic, ME)
    assert topic.load().version == OTHER.version
    assert promoted.catalog_sequence == topic.load().sequence == 4
    keys = [record.key for record in topic.records if record.topic == DEFINITIONS]
    assert keys[-3:] == [ROLLOUT_KEY.encode(), b"warm", MANIFEST_KEY.encode()]
    assert promoted.baseline.inboxes == {"warm": "1.0.0"}
    assert inbox("warm", "1.0.0") in topic.topics

    sides = arms(replace(OTHER, sequence=4), RoutingOptions(), promoted)
    old, new = (sides.side_of(_message(), began_ms) for began_ms in (NOW_MS - 1, NOW_MS + acts.LEAD_MS))
    assert (old.router.catalog.version, old.router.options.model) == (IN_FORCE.version, None)
    assert (new.router.catalog.version, new.router.options.model) == (OTHER.version, "new")
    assert (dict(old.inboxes), dict(new.inboxes)) == ({"warm": "1.0.0"}, {})

    again = acts.start(topic, plan(Version(prompt="p")), replace(ME, at=datetime(2030, 1, 3, tzinfo=UTC)))
    assert (again.baseline.model, again.candidate.model) == ("new", "new")


def _message() -> Record:
    return Record(topic="agent_messages", key=b"w", value=b"{}", headers={"ce_workflowid": b"w"})


def test_between_the_two_records_of_a_promotion_each_side_decides_by_its_own_catalog() -> None:
    topic = topic_with()
    acts.start(topic, plan(Version(agents=catalog_json(OTHER))), ME)
    promoted = acts.promote(topic, ME)
    sides = arms(IN_FORCE, RoutingOptions(), promoted)
    assert sides.candidate is not None
    assert sides.candidate.router.catalog.version == OTHER.version
    assert sides.baseline.router.catalog.version == IN_FORCE.version


def test_what_one_side_has_declared_counts_on_the_other() -> None:
    without = Catalog.of([agent("warm", "2.0.0", "another")])
    sides = arms(IN_FORCE, RoutingOptions(), rollout(candidate=Version(agents=catalog_json(without))))
    assert sides.candidate is not None
    catalog = sides.candidate.router.catalog
    assert (set(catalog.retired), catalog.earlier["warm"].version, catalog.sequence) == ({"cold"}, "1.0.0", 3)


def test_a_candidate_that_breaks_its_rule_is_ended_once_and_on_record() -> None:
    topic = topic_with()
    begun = acts.start(topic, replace(plan(Version(model="new")), rule=Rule(min_decisions=2, error_rate=0.4)), ME)
    bad = decided("candidate", "rejected", None)
    mine = [replace(bad, value=(bad.value or b"").replace(b"r/candidate", begun.release(Arm.CANDIDATE).encode()))] * 4

    ended = list(watch(topic, [*topic.records, *mine], lambda: NOW))

    assert [one.stage for one in ended] == [Stage.ROLLED_BACK]
    assert topic.rollout() == ended[0]
    assert ended[0].reason == "error rate 1.000 of 2 decisions is above 0.4"
    entry = read_entry(topic.records[-1])
    assert entry is not None
    assert (entry.action, entry.by) == (Action.ROLLOUT_ROLLED_BACK, "rollout-watch")


def test_the_console_ends_a_candidate_that_breaks_its_rule_once() -> None:
    topic, view = topic_with(), View()
    begun = acts.start(topic, replace(plan(Version(model="new")), rule=Rule(min_decisions=1, error_rate=0.4)), ME)
    looking = RolloutWatch(view, topic, lambda: NOW)
    assert looking.look() is None
    for record in topic.records:
        view.feed(record)
    assert looking.look() is None
    bad = decided("candidate", "rejected", None)
    view.feed(replace(bad, value=(bad.value or b"").replace(b"r/candidate", begun.release(Arm.CANDIDATE).encode())))

    assert looking.look() == "error rate 1.000 of 1 decisions is above 0.4"
    assert looking.look() is None
    ended = topic.rollout()
    assert ended is not None
    assert (ended.stage, ended.by) == (Stage.ROLLED_BACK, "rollout-watch")


def test_aborting_needs_a_rollout_under_way() -> None:
    with pytest.raises(RefusedError, match="no rollout is under way"):
        acts.end(topic_with(), None, ME, "")


def fed(reader: VersionReader, records: Iterable[Record]) -> list[Catalog]:
    return [
        made for record in records if record.topic == DEFINITIONS and (made := reader.accept(record.key, record.value))
    ]


def test_a_process_of_one_version_takes_it_from_either_side_or_from_what_is_in_force() -> None:
    topic = topic_with()
    acts.start(topic, plan(Version(agents=catalog_json(OTHER))), ME)
    acts.promote(topic, ME)

    newer = fed(VersionReader("warm", "2.0.0"), topic.records)
    older = fed(VersionReader("warm", "1.0.0"), topic.records)
    none = fed(VersionReader("warm", "3.0.0"), topic.records)

    assert {one.definitions["warm"].version for one in newer} == {"2.0.0"}
    assert {one.definitions["warm"].version for one in older} == {"1.0.0"}
    assert [one.sequence for one in newer] == [1, 2, 3]
    assert none == []


def write(folder: Path, *lines: str) -> Path:
    path = folder / "try.yaml"
    path.write_text("\n".join(lines))
    return path


def test_a_file_names_candidate_share_and_rule(tmp_path: Path) -> None:
    (tmp_path / "new agents").mkdir()
    (tmp_path / "new agents" / "greeter.yaml").write_text(GOOD)
    (tmp_path / "prompt.txt").write_text("Choose well.")
    path = write(
        tmp_path, "name: try-it", "candidate: {catalog: new agents, model: m, prompt: prompt.txt}", "mode: canary",
        "roll_back_when: {abstain_rate: 0.5}",
    )  # fmt: skip
    spec = read_spec(path)
    version, catalog = candidate_of(spec, tmp_path)
    assert (spec.share, spec.rule) == (10, Rule(abstain_rate=0.5))
    assert (version.model, version.prompt, catalog and set(catalog.definitions)) == ("m", "Choose well.", {"greeter"})


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (("name: x", "candidate: {}"), "name a catalog, a model or a prompt"),
        (("name: x", "candidate: {model: m}", "percent: 0"), "percent"),
        (("name: X y", "candidate: {model: m}"), "name"),
        (("name: x", "candidate: {model: m}", "roll_back: 1"), "roll_back: "),
        (("name: x", "candidate: {model: m", "mode: canary"), r"try.yaml:3:\d+ is not YAML"),
        (("- a",), "try.yaml"),
    ],
)
def test_a_wrong_file_is_refused_and_says_where(tmp_path: Path, lines: tuple[str, ...], why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        read_spec(write(tmp_path, *lines))
