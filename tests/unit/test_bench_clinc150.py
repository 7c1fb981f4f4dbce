"""CLINC150 as data sets: the paper's domains are the agents, what is out of scope is for nobody."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from bench import clinc150
from pointsman.evaluation.dataset import read_dataset

PUBLISHED = {
    "val": [["what is my balance", "balance"], ["tire pressure please", "tire_pressure"]],
    "train": [["not looked at", "balance"]],
    "test": [["how do i say hi in french", "translate"]],
    "oos_test": [["who won the match", "oos"]],
}


def converted(folder: Path, published: Any) -> int:
    (folder / "data_small.json").write_text(json.dumps(published), encoding="utf-8")
    return clinc150.main([str(folder / "data_small.json"), str(folder)])


def test_each_of_ten_domains_has_fifteen_intents() -> None:
    assert set(Counter(clinc150.DOMAINS.values()).values()) == {15}
    assert (len(clinc150.DOMAINS), len(set(clinc150.DOMAINS.values()))) == (150, 10)


def test_messages_are_labelled_with_their_domain_and_those_out_of_scope_with_nobody(tmp_path: Path) -> None:
    assert converted(tmp_path, PUBLISHED) == 0
    trained = [(each.payload["text"], each.answer) for each in read_dataset(tmp_path / "train.jsonl")]
    judged = [(each.payload["text"], each.answer) for each in read_dataset(tmp_path / "test.jsonl")]
    assert trained == [("what is my balance", "banking"), ("tire pressure please", "auto_and_commute")]
    assert judged == [("how do i say hi in french", "travel"), ("who won the match", None)]


@pytest.mark.parametrize(
    ("published", "why"),
    [
        ({"val": []}, "no section test"),
        ([], "no section val"),
        ({**PUBLISHED, "test": [["hello", "sorcery"]]}, "test, item 1"),
    ],
)
def test_another_file_is_refused_with_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], published: Any, why: str
) -> None:
    assert converted(tmp_path, published) == 1
    assert why in capsys.readouterr().err
