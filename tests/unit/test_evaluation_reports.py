"""A run for people and for programs: every figure is there, and what a message said is not."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pointsman.evaluation.report import html_page, run_data, terminal_lines
from pointsman.evaluation.runs import compare
from tests.unit.test_evaluation import RESULT, results, run_of


def test_reports_name_what_was_wrong_and_escape_what_a_message_said() -> None:
    bad = run_of([*results(), replace(RESULT, id="e", answer="cold", reason="<script>alert(1)</script>")])
    comparison = compare(run_of(results()), bad)
    text = "\n".join(terminal_lines(bad, comparison))
    assert "accuracy: 40.0% (2/5)" in text
    assert "cold → warm: 2" in text
    page = html_page(bad, comparison)
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page


def test_reports_say_how_far_confidence_is_off_how_long_it_took_and_what_it_cost() -> None:
    paid = run_of([replace(each, cost_usd=0.002) for each in results()])
    text, page = "\n".join(terminal_lines(paid, None)), html_page(paid, None)
    assert "expected calibration error: 0.450 over 2 choices with a confidence" in text
    assert "Expected calibration error: 0.450 over 2 choices with a confidence" in page
    assert '<td class="n">2</td><td class="n">0.95</td><td class="n">0.50</td>' in page
    for said in (text.lower(), page.lower()):
        assert "latency: p50 3.0 ms, p95 40.0 ms" in said
        assert "price per 1,000 decisions: 2.00 us dollars by list prices" in said
    data = json.loads(json.dumps(run_data(paid, None)))
    assert (data["calibration_error"], data["bins"]) == (
        pytest.approx(0.45), [{"count": 2, "confidence": 0.95, "accuracy": 0.5}],
    )  # fmt: skip
    assert (data["latency_ms"], data["usd_per_1000"]) == ([3.0, 40.0], pytest.approx(2.0))


def test_reports_say_what_they_do_not_know() -> None:
    unknown = run_of([replace(RESULT, cost_usd=None)])
    for said in ("\n".join(terminal_lines(unknown, None)), html_page(unknown, None)):
        assert "calibration error: unknown: no choice says how sure it was" in said
        assert "rice per 1,000 decisions: unknown: the price of a model that was asked is not known" in said
    assert run_data(unknown, None)["calibration_error"] is None


def test_a_run_for_programs_holds_every_figure_and_no_text() -> None:
    secret = replace(RESULT, id="e", answer="cold", reason="Mara Lind wrote")
    data = json.loads(json.dumps(run_data(run_of([*results(), secret]), None)))
    assert data["accuracy"] == {"right": 2, "total": 5}
    assert {"answer": "cold", "decided": "warm", "count": 2} in data["confusion"]
    assert data["wrong"][-1] == {"id": "e", "answer": "cold", "agent": "warm"}
    assert data["baseline"] is None
    assert "Mara" not in json.dumps(data)
    compared = run_data(run_of([replace(results()[0], agent="cold")]), compare(run_of(results()), run_of([])))
    assert compared["baseline"] == {"mended": [], "broken": [], "paired": 0, "only_now": 0, "only_before": 4}


def test_a_report_says_when_no_language_model_answered() -> None:
    offline = run_of([replace(RESULT, model="offline-stand-in (gpt-4o-mini)")])
    assert "no language model" in "\n".join(terminal_lines(offline, None))
    assert "no language model" in html_page(offline, None)
    assert "models that answered: none" in "\n".join(terminal_lines(run_of(results()), None))
