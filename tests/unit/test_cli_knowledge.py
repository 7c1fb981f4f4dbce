"""`pointsman knowledge`: add a folder, look, measure, take out."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from pointsman.cli import knowledge
from pointsman.errors import ConfigurationError, ModelUnavailableError, RefusedError
from pointsman.knowledge.embedding import BATCH, HashedNgrams
from pointsman.settings import Settings

DOCUMENTS = "examples/knowledge/documents"


@pytest.fixture(autouse=True)
def _settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Settings(data_dir=tmp_path / "data with a space")
    monkeypatch.setattr(knowledge, "settings", lambda: known)


def run(*words: str) -> Result:
    return CliRunner().invoke(knowledge.app, list(words))


def data(*words: str) -> Any:
    result = run(*words, "-o", "json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_folder_is_added_listed_searched_and_taken_out() -> None:
    added = data("add", DOCUMENTS, "-c", "product")
    assert {row["outcome"] for row in added} == {"added"}
    assert {row["outcome"] for row in data("add", DOCUMENTS, "-c", "product")} == {"unchanged"}
    assert {row["source"] for row in data("ls")} == {path.name for path in Path(DOCUMENTS).iterdir()}
    best = data("search", "late deliveries", "-c", "product", "-k", "1")
    assert best[0]["source"] == "product.md"
    assert run("rm", "product.md", "-c", "product").exit_code == 0
    assert "product.md" not in {row["source"] for row in data("ls")}
    assert run("rm", "--all").exit_code == 0
    assert data("ls") == []


class FailingLater(HashedNgrams):
    """Embeds once, and is then away."""

    has_embedded = False

    def embed(self, texts: Sequence[str]) -> Any:
        if self.has_embedded:
            raise ModelUnavailableError("away")
        self.has_embedded = True
        return super().embed(texts)


def test_whoever_looks_at_a_terminal_sees_how_far_it_is_and_programs_get_data_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("add", DOCUMENTS, "-c", "quiet").stderr == ""
    monkeypatch.setenv("FORCE_COLOR", "1")  # which makes a terminal of a pipe
    done = run("add", DOCUMENTS, "-c", "product", "-o", "json")
    assert re.search(r"documents.*100%", done.stderr)
    assert len(json.loads(done.stdout)) == len(list(Path(DOCUMENTS).iterdir()))


def test_progress_counts_the_documents_that_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a", "b", "c", "d"):
        (tmp_path / f"{name}.txt").write_text("\n\n".join(f"{name} {part} " + "x" * 800 for part in range(BATCH)))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr(knowledge, "_embedder", FailingLater)
    broken_off = run("add", str(tmp_path), "-c", "product")
    assert isinstance(broken_off.exception, ModelUnavailableError)
    assert re.search(r"documents.* 25%", broken_off.stderr)
    assert "50%" not in broken_off.stderr


def test_a_dry_run_says_what_would_be_done_and_does_nothing(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("one")
    (tmp_path / "two.txt").write_text("two")
    told = data("add", str(tmp_path), "-c", "product", "--dry-run")
    assert [(row["outcome"], row["embedded"]) for row in told] == [("added", 1), ("added", 1)]
    assert isinstance(run("ls").exception, ConfigurationError)
    run("add", str(tmp_path), "-c", "product")
    (tmp_path / "one.txt").write_text("other words")
    (tmp_path / "two.txt").unlink()
    told = data("add", str(tmp_path), "-c", "product", "--prune", "--dry-run")
    assert [(row["source"], row["outcome"]) for row in told] == [("one.txt", "changed"), ("two.txt", "removed")]
    assert run("rm", "--all", "--dry-run").stdout == "would take 2 documents out\n"
    assert [row["source"] for row in data("ls")] == ["one.txt", "two.txt"]
    assert told == data("add", str(tmp_path), "-c", "product", "--prune")


def test_retrieval_is_measured_and_a_figure_can_fail_a_build() -> None:
    run("add", DOCUMENTS, "-c", "product")
    told = run("eval", "examples/knowledge/questions.jsonl", "-c", "product", "--fail-under", "0.3")
    assert told.exit_code == 0
    assert "know no meaning" in told.stdout
    assert set(data("eval", "examples/knowledge/questions.jsonl", "-c", "product")) == {
        "embedding", "hybrid", "words", "vectors",
    }  # fmt: skip
    failed = run("eval", "examples/knowledge/questions.jsonl", "-c", "product", "--fail-under", "1")
    assert isinstance(failed.exception, RefusedError)


def test_a_document_of_no_use_fails_the_command_and_is_named(tmp_path: Path) -> None:
    (tmp_path / "broken.pdf").write_bytes(b"%PDF-1.4\nbroken")
    (tmp_path / "good.txt").write_text("words")
    result = run("add", str(tmp_path), "-c", "product")
    assert "broken.pdf" in result.stdout
    assert isinstance(result.exception, RefusedError)
    assert [row["source"] for row in data("ls")] == ["good.txt"]


@pytest.mark.parametrize("words", [("ls",), ("search", "x", "-c", "a"), ("eval", "x", "-c", "a")])
def test_without_an_index_it_is_said_how_to_make_one(words: tuple[str, ...]) -> None:
    failed = run(*words).exception
    assert isinstance(failed, ConfigurationError)


def test_a_document_that_is_not_there_is_refused_and_names_are_checked() -> None:
    run("add", DOCUMENTS, "-c", "product")
    assert isinstance(run("rm", "missing.md").exception, RefusedError)
    assert run("rm").exit_code == 2
    assert run("add", DOCUMENTS, "-c", "Two Words").exit_code == 2
