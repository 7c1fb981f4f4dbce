"""A run beside a kept one: the same message is compared with itself, and what cannot be compared is said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner
from typer.testing import Result as Invocation

from pointsman.cli.main import app
from pointsman.errors import ConfigurationError
from pointsman.evaluation.dataset import Example, read_dataset, write_dataset
from pointsman.evaluation.report import html_page, run_data, terminal_lines
from pointsman.evaluation.running import Result
from pointsman.evaluation.runs import Comparison, compare, load_baseline, load_run, save_run
from tests.unit.test_evaluation import RESULT, SDR, example, results, run_of

TEXT = "1 mended, 1 broken (messages in both: 2, only in this run: 1, only in the baseline: 2)"


def kept(path: Path, found: Sequence[Result]) -> Path:
    save_run(run_of(list(found)), path)
    return path


def kept_before_messages_were_noted(path: Path, found: Sequence[Result]) -> Path:
    run = asdict(run_of(list(found)))
    for each in run["results"]:
        del each["fingerprint"], each["doubted"]
    path.write_text(json.dumps(run), encoding="utf-8")
    return path


def ids(comparison: Comparison) -> tuple[list[str], list[str]]:
    return [each.id for each in comparison.mended], [each.id for each in comparison.broken]


def test_a_run_is_read_as_it_was_kept(tmp_path: Path) -> None:
    assert load_run(kept(tmp_path / "run.json", results())) == run_of(results())
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(ConfigurationError, match="holds no run"):
        load_run(tmp_path / "other.json")


def now_otherwise() -> list[Result]:
    a, b, *_ = results()
    return [replace(a, agent="cold"), replace(b, agent="cold"), replace(RESULT, id="new", fingerprint="N")]


def test_two_runs_are_compared_on_the_messages_that_both_have() -> None:
    comparison = compare(run_of(results()), run_of(now_otherwise()))
    assert ids(comparison) == (["b"], ["a"])
    assert (comparison.paired, comparison.only_now, comparison.only_before) == (2, 1, 2)


def test_every_report_says_how_many_messages_could_not_be_compared() -> None:
    now = run_of(now_otherwise())
    comparison = compare(run_of(results()), now)
    assert f"against the baseline: {TEXT}" in list(terminal_lines(now, comparison))
    assert TEXT in html_page(now, comparison)
    assert run_data(now, comparison)["baseline"] == {
        "mended": ["b"], "broken": ["a"], "paired": 2, "only_now": 1, "only_before": 2,
    }  # fmt: skip


def numbered(*messages: tuple[str, str]) -> list[Result]:
    """Results of a data set without ids; each message with the agent that got it."""
    return [
        replace(RESULT, id=f"line {number}", fingerprint=message, answer="warm", agent=agent)
        for number, (message, agent) in enumerate(messages, start=1)
    ]


def test_a_line_that_was_inserted_does_not_pair_other_messages() -> None:
    before = numbered(("A", "warm"), ("B", "cold"), ("C", "warm"))
    now = numbered(("NEW", "cold"), ("A", "warm"), ("B", "cold"), ("C", "cold"))
    comparison = compare(run_of(before), run_of(now))
    assert ids(comparison) == ([], ["line 4"])
    assert (comparison.paired, comparison.only_now, comparison.only_before) == (3, 1, 0)


def test_another_message_under_the_same_id_is_not_the_same() -> None:
    comparison = compare(run_of(numbered(("A", "warm"))), run_of(numbered(("B", "cold"))))
    assert (ids(comparison), comparison.paired, comparison.only_now, comparison.only_before) == (([], []), 0, 1, 1)


def test_a_message_that_stands_there_twice_is_paired_by_its_id() -> None:
    twice = numbered(("A", "warm"), ("A", "cold"))
    assert ids(compare(run_of(twice), run_of(twice))) == ([], [])


def test_a_label_that_was_changed_breaks_nothing_that_is_decided_as_before() -> None:
    before = numbered(("A", "warm"), ("B", "cold"))
    now = [replace(each, answer="cold") for each in before]
    assert ids(compare(run_of(before), run_of(now))) == ([], [])


EXAMPLES = [example(1, "warm"), example(2, "cold")]


def of(one: Example, **fields: Any) -> Result:
    return replace(RESULT, id=one.id, fingerprint=one.fingerprint, **fields)


def test_a_baseline_that_shares_messages_is_taken_whatever_their_ids_are(tmp_path: Path) -> None:
    path = kept(tmp_path / "run.json", [of(replace(EXAMPLES[1], id="other"))])
    assert load_baseline(path, EXAMPLES) == load_run(path)


def test_a_baseline_that_shares_no_message_is_refused(tmp_path: Path) -> None:
    path = kept(tmp_path / "run.json", [of(example(3, None)), of(replace(example(4, None), id=EXAMPLES[0].id))])
    with pytest.raises(ConfigurationError, match="holds none of the 2 messages") as refused:
        load_baseline(path, EXAMPLES)
    assert "--save" in str(refused.value)


def test_a_run_of_before_messages_were_noted_is_read_and_no_baseline(tmp_path: Path) -> None:
    path = kept_before_messages_were_noted(tmp_path / "old.json", [of(EXAMPLES[0], confidence=0.5)])
    assert load_run(path).results[0].confidence == 0.5
    with pytest.raises(ConfigurationError, match="does not say which messages it decided on") as refused:
        load_baseline(path, EXAMPLES)
    assert "--save" in str(refused.value)


def evaluated(dataset: Path, *options: str) -> Invocation:
    return CliRunner().invoke(app, ["eval", "run", str(dataset), "--local-only", *options])


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    path = tmp_path / "some.jsonl"
    write_dataset(path, read_dataset(SDR)[:5])
    return path


def test_what_is_broken_is_named_and_fails_only_where_that_is_asked_for(dataset: Path, tmp_path: Path) -> None:
    evaluated(dataset, "--save", str(tmp_path / "run.json"))
    run = load_run(tmp_path / "run.json")
    wrong = next(each for each in run.results if not each.is_right)
    better = [replace(each, agent=each.answer) if each.id == wrong.id else each for each in run.results]
    compared = ("--baseline", str(kept(tmp_path / "better.json", better)))
    failed = evaluated(dataset, *compared, "--fail-on-broken")
    assert failed.exit_code == 1
    assert "against the baseline: 0 mended, 1 broken (messages in both: 5" in failed.output
    assert f"  broken: {wrong.id}\n" in failed.output
    assert evaluated(dataset, *compared).exit_code == 0


def test_what_is_not_broken_does_not_fail(dataset: Path, tmp_path: Path) -> None:
    path = str(tmp_path / "run.json")
    evaluated(dataset, "--save", path)
    passed = evaluated(dataset, "--baseline", path, "--fail-on-broken")
    assert passed.exit_code == 0
    assert "0 mended, 0 broken (messages in both: 5, only in this run: 0, only in the baseline: 0)" in passed.output


def test_nothing_is_decided_where_the_baseline_is_refused(dataset: Path, tmp_path: Path) -> None:
    baseline = kept(tmp_path / "run.json", [of(EXAMPLES[0])])
    refused = evaluated(dataset, "--baseline", str(baseline), "--fail-on-broken")
    assert isinstance(refused.exception, ConfigurationError)
    assert refused.stdout == ""


def test_to_fail_on_what_is_broken_needs_a_baseline(dataset: Path) -> None:
    refused = evaluated(dataset, "--fail-on-broken")
    assert refused.exit_code == 2
    assert "needs --baseline" in refused.output
