"""The parts of the benchmarks that need no broker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import bench.session
from bench.answering import answer
from bench.arithmetic import Offered
from bench.benchmarks import ALL
from bench.benchmarks.catalogue_size import decisions
from bench.benchmarks.throughput import STEPS, highest
from bench.catalogs import CONTRACT_ONLY_TYPE, agents, agents_apart
from bench.figures import SHOWN
from bench.labelled import NOW
from bench.load import offer
from bench.measuring import Load, Measured
from bench.messages import ID, chosen, headers, message_id, payload
from bench.mock_model import Counters as ModelCounters
from bench.mock_model import agents_in, behaviour
from bench.page import section, summarised
from bench.pinning import split
from bench.programs import ROOT, BenchError
from bench.results_file import Report
from bench.session import Entrant, Live
from bench.systems import Running, Workload
from pointsman.catalog import Catalog
from pointsman.definitions.checks import check
from pointsman.envelope import Record, decode
from pointsman.routing.decision import Decision
from pointsman.routing.limits import Counters
from pointsman.routing.router import Router


class Writer:
    """Takes what is produced, as Kafka's client would."""

    def __init__(self) -> None:
        self.written: list[tuple[str, bytes]] = []

    def produce(self, topic: str, *, value: bytes, **_: object) -> None:
        self.written.append((topic, value))

    def poll(self, _: float) -> None:
        """Nothing comes back."""


def test_the_router_takes_the_benchmarks_messages() -> None:
    record = Record(topic="agent_messages", key=b"k", value=payload("a1", 7), headers=headers("a1", 7), timestamp_ms=1)
    message = decode(record)
    assert message.workflow_id == message_id("a1", 7)
    assert all(agent.accepted(message.event_type) for agent in agents())


def test_what_one_agent_takes_is_decided_by_contract_and_no_model_is_asked() -> None:
    told = headers("a1", 7, kind=CONTRACT_ONLY_TYPE)
    record = Record(topic="agent_messages", key=b"k", value=payload("a1", 7), headers=told, timestamp_ms=1)
    decided = Router(Catalog.of(agents())).prepare(decode(record), Counters(step=1), NOW)
    assert isinstance(decided, Decision)
    assert decided.agent == agents()[0].name


def test_the_benchmarks_agents_contradict_nobody() -> None:
    assert [problem for problem in check(agents(50)) if problem.severity == "error"] == []


def test_many_agents_cost_no_more_tokens_than_eight_and_none_more_where_five_take_each_type() -> None:
    small, large, everybody = decisions(agents(5), 3), decisions(agents_apart(50), 3), decisions(agents(50), 3)
    assert large["prompt_tokens"] == small["prompt_tokens"]
    assert small["prompt_tokens"] < everybody["prompt_tokens"] < 1.5 * small["prompt_tokens"]


def test_the_model_behaves_as_path_and_run_say_and_the_run_wins() -> None:
    how = behaviour(b"/l200/v1/chat/completions", b"ab12zl0ztail2s2000zone50s30000")
    assert (how.latency_s, how.tail_percent, how.tail_s, how.slow_number, how.slow_s) == (0, 2, 2, 50, 30)
    assert behaviour(b"/l200/v1/chat/completions", b"ab12").latency_s == 0.2
    assert behaviour(b"/l0/faults/v1/chat/completions", b"").fails


def test_the_slow_share_is_about_as_large_as_it_says_and_always_the_same() -> None:
    how = behaviour(b"/l0/v1/chat/completions", b"zzz")
    assert how.wait_s(b"x", 1) == 0
    tailed = behaviour(b"/", b"aztail2s2000")
    waits = [tailed.wait_s(message_id("a", number).encode(), number) for number in range(5000)]
    assert 50 < sum(wait == 2 for wait in waits) < 150
    assert waits == [tailed.wait_s(message_id("a", number).encode(), number) for number in range(5000)]


def test_the_named_agent_hangs_on_the_id_alone() -> None:
    names = agents_in(b'"delivery", "none", "billing"')
    assert names == [b"billing", b"delivery"]
    found = ID.search(payload("a1", 3))
    assert found is not None
    assert chosen(names, found[0]) == chosen(names, message_id("a1", 3).encode())


def test_counters_are_summed_over_the_models_processes(tmp_path: Path) -> None:
    file = tmp_path / "counters"
    file.write_bytes(bytes(2 * 8 * 7))
    one, two = ModelCounters(file, 2, 0), ModelCounters(file, 2, 1)
    one.begin(10)
    two.begin(5)
    two.end(output_tokens=3)
    total = one.total()
    assert (total["calls"], total["in_flight"], total["prompt_tokens"], total["output_tokens"]) == (2, 1, 15, 3)
    assert total["peak"] == 2
    assert not one.is_down()
    two.be_down(60)
    assert one.is_down()


def test_everything_is_offered_and_lateness_is_told() -> None:
    writer = Writer()
    late = offer(writer, "there", "a1", Offered(count=5, began=0.0, rate=1000.0), [])
    assert [topic for topic, _ in writer.written] == ["there"] * 5
    assert min(late) > 1000, "it began long after its plan"


def test_agents_answer_until_the_last_hop_and_rivals_records_alike() -> None:
    writer = Writer()
    answer(writer, "back", payload("a1", 3, hop=4), 6)
    answer(writer, "back", payload("a1", 3, hop=5), 6)
    answer(writer, "back", b'{"agent": "billing", ' + payload("a1", 4)[1:], 6)
    assert [json.loads(value)["hop"] for _, value in writer.written] == [5, 1]


@pytest.mark.parametrize(("cores", "apart"), [(4, True), (8, True), (2, False), (1, False)])
def test_the_system_has_cores_of_its_own_where_there_are_enough(cores: int, apart: bool) -> None:
    found = split(frozenset(range(cores)))
    assert found.are_apart is apart
    assert found.system | found.harness == frozenset(range(cores))


def row(repeat: int, p50: float, *, void: bool = False) -> dict[str, object]:
    return {
        "system": "Pointsman", "guarantee": "G2", "load": "100/s", "repeat": repeat, "floor_ms": 200.0, "void": void,
        "count": 600, "cpu_s": 2.0, "lost": int(void), "duplicated": 0, "misrouted": 0,
        "latency_ms": {"read_uncommitted": {"p50": p50, "p99": p50 + 10}, "read_committed": {"p50": p50 + 500}},
    }  # fmt: skip


def test_a_run_with_a_loss_counts_for_nothing_and_is_named_on_the_page() -> None:
    rows = [row(0, 208.0), row(1, 1.0, void=True), row(2, 210.0)]
    (line,) = summarised(rows, SHOWN["P2"])
    assert line["p50 over the model, ms"] == pytest.approx(9.0)
    report = {
        "benchmark": "P2", "title": "t", "what": "w", "notes": [], "failures": [{"system": "faust", "why": "gone"}],
        "rows": [{**each, "stolen_percent": taken} for each, taken in zip(rows, (0.2, 31.0, 4.0), strict=True)],
        "machine": {
            "at": "2030-01-01T", "commit": "c", "processor": "p", "cores_system": [2, 3], "cores_apart": True,
            "busy_before_percent": 60.0, "python": "3.11", "versions": {"apache-flink": "2.3.0"},
        },
    }  # fmt: skip
    text = section(report, SHOWN["P2"], [line], None)
    assert "| 100/s | Pointsman | G2 | 9.00 | 19.0 | 509 | 300 | 1.00 | 1 | 0 | 0 | 3 (1 void) |" in text
    assert "faust: gone" in text
    assert "busy with other work: these figures show that it runs" in text
    assert "host kept 4.0 % of its processor time back in the median run, 31.0 % at most" in text


@pytest.mark.parametrize(
    ("begin", "best", "tried"),
    [(0, 2, [0, 1, 2]), (2, 2, [2, 1]), (4, 2, [4, 3, 2, 1]), (1, 0, [1, 0]), (0, 0, [0])],
)
def test_the_highest_rate_that_is_held_is_found_wherever_the_search_begins(
    begin: int, best: int, tried: list[int]
) -> None:
    asked: list[int] = []

    def is_held(step: int) -> bool:
        asked.append(step)
        return step >= best

    assert (highest(is_held, begin), asked) == (best, tried)


def test_where_no_rate_is_held_all_below_the_first_are_tried() -> None:
    asked: list[int] = []

    def is_held(step: int) -> bool:
        asked.append(step)
        return False

    assert (highest(is_held, 3), asked) == (None, list(range(3, len(STEPS))))


def steady(repeat: int, rate: float, held_per_s: float | None, *, void: bool = False) -> dict[str, object]:
    found = {**row(repeat, 208.0, void=void), "load": "model 200 ms", "phase": "steady", "rate": rate}
    return found if held_per_s is None else {**found, "held_per_s": held_per_s}


def test_a_repeat_in_which_no_rate_was_held_counts_as_none() -> None:
    rows = [
        steady(0, 80, None),
        steady(0, 65, 65.0),
        steady(1, 80, None),
        steady(1, 5, 0.0, void=True),
        steady(2, 5, 0),
    ]
    (line,) = summarised(rows, SHOWN["P1"])
    assert line["held, /s"] == 0
    assert line["void"] == 1, "a search may step on a loss, and it is said"


def test_a_burst_with_a_loss_is_no_figure() -> None:
    rows = [{**row(turn, 208.0, void=turn == 0), "phase": "burst", "per_s": 900.0 - turn} for turn in range(2)]
    (line,) = summarised(rows, SHOWN["P1"])
    assert (line["burst, /s"], line["per CPU-second"]) == (899.0, 300.0)


def test_who_was_left_out_is_named_once() -> None:
    report = Report(benchmark="P2", title="t", what="w")
    for _ in range(2):
        report.left_out(["faust", "quixstreams"])
        report.left_out([])
    assert report.notes == ["Left out of this run: faust, quixstreams."]


def test_a_rivals_figure_is_shown_as_a_multiple_of_ours() -> None:
    ours, theirs = row(0, 210.0), {**row(0, 400.0), "system": "faust"}
    lines = {line["system"]: line for line in summarised([ours, theirs], SHOWN["P2"])}
    assert lines["faust"]["ratio"] == pytest.approx(20.0)
    assert lines["Pointsman"]["ratio"] == pytest.approx(1.0)


def test_every_benchmark_has_its_place_on_the_page() -> None:
    assert set(SHOWN) == set(ALL)


def test_every_kept_result_is_of_a_known_benchmark_and_the_page_is_made_of_it() -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    kept = [name for name in SHOWN if (ROOT / "bench" / "results" / f"{name}.json").is_file()]
    for name in kept:
        found = json.loads((ROOT / "bench" / "results" / f"{name}.json").read_text(encoding="utf-8"))
        assert found["benchmark"] == name
        assert f"## {name}: {found['title']}" in page
    assert kept


class Startable:
    """A system that starts and does nothing."""

    name, guarantee, needs_flink, most_per_s = "startable", "G1", False, 100.0

    def __init__(self) -> None:
        self.starts = 0

    def start(self, *_: object) -> Running:
        self.starts += 1
        return Running(bootstrap="", in_topic="", out_topics={}, processes=list, stop=lambda: None, kill=lambda: None)


@pytest.mark.parametrize(("warm_up", "starts"), [({"lost": 0}, 1), ({"lost": 3}, 2), (BenchError("too slow"), 2)])
def test_who_is_left_with_a_backlog_by_the_warm_up_is_started_anew_before_it_is_measured(
    warm_up: dict[str, int] | BenchError, starts: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    came_of = [warm_up, {"lost": 0}, {"lost": 0}]

    def measured(*_: object, **__: object) -> Measured:
        found = came_of.pop(0)
        if isinstance(found, BenchError):
            raise found
        return Measured(figures=dict(found), offered=Offered(count=1, began=0.0, rate=1.0))

    monkeypatch.setattr(bench.session, "measure", measured)
    monkeypatch.setattr(bench.session, "warmed", lambda *_, **__: None)
    system = Startable()
    live = Live(Entrant(system=system, workload=Workload(), loads={}), None, None)  # type: ignore[arg-type]
    live.start()

    assert live.measure(Load(rate=1, count=1)).is_drained
    assert system.starts == starts
