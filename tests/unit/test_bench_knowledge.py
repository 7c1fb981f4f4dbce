"""The benchmark of retrieval keeps what it could not measure only where it may be compared."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.knowledge import EMBEDDINGS, digest, keep
from bench.results_file import RESULTS

MEASURED = {"hashed": {"hybrid": {"mrr": 0.5}}}
NOT_NOW = {"hybrid": {"mrr": 0.9}}


def result(digest: str = "a", **more: Any) -> dict[str, Any]:
    return {"digest": digest, "machine": "x86_64", "indexes": {"embedded": {**MEASURED, **more}}}


def test_what_does_not_run_here_is_kept_and_marked_once() -> None:
    first = result()
    keep(result(model=NOT_NOW), first)
    kept = first["indexes"]["embedded"]["model"]
    assert kept == {**NOT_NOW, "kept": "measured before, on x86_64"}
    second = result()
    keep(first, second)
    assert second == first


@pytest.mark.parametrize("before", [{}, result("of other documents", model=NOT_NOW)])
def test_figures_of_other_documents_are_not_kept(before: dict[str, Any]) -> None:
    now = result()
    keep(before, now)
    assert now == result()


def test_what_was_measured_again_counts() -> None:
    now = result()
    keep({**result(), "indexes": {"embedded": {"hashed": NOT_NOW}}}, now)
    assert now == result()


def test_the_committed_figures_are_of_the_shipped_documents_and_of_both_indexes() -> None:
    committed = json.loads((RESULTS / "knowledge.json").read_text(encoding="utf-8"))
    assert committed["digest"] == digest(), "run `python -m bench.knowledge --out bench/results/knowledge.json`"
    assert set(committed["indexes"]["embedded"]) == set(EMBEDDINGS)
    assert set(committed["indexes"]["pgvector"]) >= {"hashed"}
