"""A run for people: lines for a terminal, one HTML page that needs nothing beside itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, replace
from importlib.resources import files
from typing import Any, Final

import jinja2

from pointsman.evaluation.measures import NOBODY, Figures, figures
from pointsman.evaluation.runs import Comparison, Run
from pointsman.models.offline.server import MODEL_NAME
from pointsman.plaintext import one_line

_MOST_LINES: Final = 50
_LONGEST: Final = 140


def terminal_lines(run: Run, comparison: Comparison | None) -> Iterator[str]:
    """The run in lines: figures first, then what was wrong."""
    found = figures(run.results)
    yield f"{run.dataset}: {len(run.results)} messages, catalog {run.catalog}"
    yield f"decided by: {run.decider}"
    yield f"models that answered: {_models(run)}"
    yield f"accuracy: {found.accuracy}"
    yield f"abstention: precision {found.abstention_precision}, recall {found.abstention_recall}"
    for title, shares in _tables(found):
        yield f"{title}:"
        yield from (f"  {name:<24} {share}" for name, share in shares.items())
    yield f"confusion (right answer → decided): {_confusion(found)}"
    yield f"expected calibration error: {_calibration(found)}"
    yield f"latency: p50 {found.latency_ms[0]:.1f} ms, p95 {found.latency_ms[1]:.1f} ms"
    yield f"tokens per 1,000 decisions: {found.tokens_per_1000[0]:,.0f} in, {found.tokens_per_1000[1]:,.0f} out"
    yield f"price per 1,000 decisions: {_price(found)}"
    if comparison:
        yield f"against the baseline: {_compared(comparison)}"
        yield from (f"  broken: {result.id}" for result in comparison.broken[:_MOST_LINES])
    yield from _wrong_lines(run)


def run_data(run: Run, comparison: Comparison | None) -> dict[str, Any]:
    """The run for programs: every figure, and the messages that were decided wrongly, without their texts."""
    found = figures(run.results)
    wrong = [result for result in run.results if not result.is_right]
    return {
        "dataset": run.dataset,
        "decided_by": run.decider,
        "catalog": run.catalog,
        "messages": len(run.results),
        **asdict(replace(found, confusion={})),
        "confusion": [
            {"answer": answer, "decided": agent, "count": count} for (answer, agent), count in found.confusion.items()
        ],
        "wrong": [{"id": each.id, "answer": each.answer, "agent": each.agent} for each in wrong],
        "baseline": comparison
        and {
            "mended": [result.id for result in comparison.mended],
            "broken": [result.id for result in comparison.broken],
            "paired": comparison.paired,
            "only_now": comparison.only_now,
            "only_before": comparison.only_before,
        },
    }


def html_page(run: Run, comparison: Comparison | None) -> str:
    """The run as one page; whatever a message or a model said is escaped."""
    found = figures(run.results)
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    template = environment.from_string((files(__package__) / "report.html").read_text(encoding="utf-8"))
    answers = sorted({answer for answer, _ in found.confusion})
    decided = sorted({agent for _, agent in found.confusion})
    return template.render(
        run=run,
        figures=found,
        tables=_tables(found),
        calibration=_calibration(found),
        price=_price(found),
        models=_models(run),
        answers=answers,
        decided=decided,
        wrong=[result for result in run.results if not result.is_right],
        comparison=comparison,
        compared=comparison and _compared(comparison),
        nobody=NOBODY,
    )


def _tables(found: Figures) -> list[tuple[str, dict[str, object]]]:
    return [
        ("precision by agent", dict(found.precision)),
        ("recall by agent", dict(found.recall)),
        ("right by category", dict(found.by_category)),
        ("right by way of deciding", dict(found.by_method)),
    ]


def _confusion(found: Figures) -> str:
    wrong = {pair: count for pair, count in found.confusion.items() if pair[0] != pair[1]}
    ranked = sorted(wrong.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{answer} → {agent}: {count}" for (answer, agent), count in ranked) or "none"


def _models(run: Run) -> str:
    names = sorted({result.model for result in run.results if result.model})
    if any(name.startswith(MODEL_NAME) for name in names):
        return f"{', '.join(names)}: no language model, so the figures only prove the plumbing"
    return ", ".join(names) or "none"


def _price(found: Figures) -> str:
    if found.usd_per_1000 is None:
        return "unknown: the price of a model that was asked is not known"
    return f"{found.usd_per_1000:.2f} US dollars by list prices"


def _calibration(found: Figures) -> str:
    if found.calibration_error is None:
        return "unknown: no choice says how sure it was"
    return f"{found.calibration_error:.3f} over {sum(each.count for each in found.bins)} choices with a confidence"


def _compared(found: Comparison) -> str:
    changed = f"{len(found.mended)} mended, {len(found.broken)} broken"
    alone = f"only in this run: {found.only_now}, only in the baseline: {found.only_before}"
    return f"{changed} (messages in both: {found.paired}, {alone})"


def _wrong_lines(run: Run) -> Iterator[str]:
    wrong = [result for result in run.results if not result.is_right]
    yield f"wrong: {len(wrong)}"
    for result in wrong[:_MOST_LINES]:
        right = f"{result.answer or NOBODY}{f' ({result.why_right})' if result.why_right else ''}"
        decided = f"{result.agent or NOBODY} by {result.how}"
        yield f"  {result.id}: {right}, decided {decided}: {one_line(result.reason, _LONGEST)}"
    if len(wrong) > _MOST_LINES:
        yield f"  and {len(wrong) - _MOST_LINES} more: --html shows all"
