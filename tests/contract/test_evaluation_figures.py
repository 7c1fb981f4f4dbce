"""The tables of docs/evaluation.md are what the result files hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "evaluation.md").read_text(encoding="utf-8")
ACCURACY, KEEP = "accuracy 0.95", "keep 0.963"
ALWAYS = "model always, all agents in the prompt"
SYSTEMS = {
    "a model is always asked, all agents in the prompt": ALWAYS,
    "a model is always asked": ALWAYS,
    "contracts first": "Pointsman",
    "contracts, then the local model first (`--local-first`)": "Pointsman, local model first",
    "contracts, then the local model first": "Pointsman, local model first",
}
NAMES = {
    "right agent, of messages that belong to one": "right_agent",
    "acted on, of all (= calls saved as first tier)": "acted_on",
    "kept, of messages that belong to one": "in_scope_kept",
    "right, of those acted on": "acted_on_right",
    "left alone, of messages for nobody": "nobody_caught",
    "calibration error": "calibration_error",
}


def result(name: str) -> dict[str, Any]:
    held: dict[str, Any] = json.loads((ROOT / "bench" / "results" / f"{name}.json").read_text(encoding="utf-8"))
    return held


def table(begins: str) -> dict[str, list[str]]:
    """The rows of the table whose heading begins so, by their first cell."""
    lines = PAGE[PAGE.index(f"\n| {begins}") + 1 :].partition("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines[2:]]
    assert rows
    return {first: others for first, *others in rows}


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def shown(figures: dict[str, Any], what: str) -> str:
    return percent(figures[NAMES[what]])


def of_model(rows: dict[str, list[str]], *held: dict[str, Any]) -> dict[str, list[str]]:
    return {what: [shown(figures, what) for figures in held] for what in rows if what in NAMES}


def by_system(load: str) -> dict[str, dict[str, Any]]:
    return {row["system"]: row for row in result("P10")["rows"] if row["load"] == load}


def of_routing(row: dict[str, Any], times: int) -> list[str]:
    decided = f"{row['without_model_right']} of {row['without_model']}" if row["without_model"] else "-"
    tokens = [f"{times * row[name]:,.0f}" for name in ("tokens_per_message", "billed_per_message")]
    return [f"{times * row['calls_per_message']:.2f}", *tokens, decided]


def test_what_routing_costs_is_what_was_measured_last() -> None:
    per_lead, per_message = table("measure | calls per lead"), table("the same, on the 356 labelled messages")
    way, everything = by_system("a lead's way"), by_system("all")
    assert len(per_lead) == len(per_message) == 3
    assert per_lead == {name: of_routing(way[SYSTEMS[name]], 4) for name in per_lead}
    assert per_message == {name: of_routing(everything[SYSTEMS[name]], 1) for name in per_message}
    assert everything["Pointsman"]["messages"] == 356


def test_what_the_local_model_first_loses_is_counted_in_its_own_choices() -> None:
    everything = by_system("all")
    first, ours = everything["Pointsman, local model first"], everything["Pointsman"]
    wrong = first["without_model"] - first["without_model_right"]
    assert ours["without_model"] == ours["without_model_right"]
    assert f"{wrong} of its {first['without_model'] - ours['without_model']} choices are wrong" in PAGE
    assert f"{100 * wrong / first['messages']:.1f} points of the {first['messages']}" in PAGE


def test_what_is_said_of_the_local_model_on_labelled_messages_was_measured() -> None:
    rows, held = table("| threshold for 95 % right | threshold keeps 96.3 % |\n"), result("local-model")
    assert len(rows) == 5
    assert rows == of_model(rows, held["closed_set"][ACCURACY], held["closed_set"][KEEP])
    assert f"the {held['messages']} messages that leave a choice, {held['nobody']} of them for nobody" in PAGE
    error = percent(held["open_set"][KEEP]["calibration_error"])
    assert f"calibration error is {error} there" in PAGE


def test_what_is_said_of_sentence_vectors_was_measured() -> None:
    rows = table("threshold keeps 96.3 %")
    shipped, others = result("local-model")["closed_set"], result("local-model-embedded")["closed_set"]
    assert len(rows) == 4
    assert rows == of_model(rows, shipped[KEEP], *(others[name][KEEP] for name in ("words", "vectors", "both")))


def test_what_is_said_of_clinc150_was_measured() -> None:
    rows, held = table("| threshold for 95 % right | threshold keeps 96.3 % | to beat"), result("local-model-clinc150")
    of_file = of_model(rows, held["apart"][ACCURACY], held["apart"][KEEP])
    assert len(of_file) == 5
    assert {what: cells[:2] for what, cells in rows.items() if what in of_file} == of_file
    by_judged = percent(held["nobody_caught_where_kept"]["0.963"])
    assert rows["left alone, by a threshold taken from the messages judged"][1] == by_judged


def test_the_draws_of_clinc150_are_said_with_their_spread() -> None:
    draws = result("local-model-clinc150")["draws"]
    for held in (draws["left_out"]["in_scope_kept"], draws["apart"]["in_scope_kept"], draws["apart"]["nobody_caught"]):
        mean = sum(held) / len(held)
        assert f"{percent(mean)} ({100 * min(held):.1f} to {100 * max(held):.1f})" in PAGE
