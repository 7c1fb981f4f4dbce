r"""What the local model's choices would be with sentence vectors instead of words, and beside them.

    HF_HUB_OFFLINE=1 python bench/local_model_embedded.py examples/evaluation/sdr.jsonl --catalog agent_definitions \
        --out bench/results/local-model-embedded.json

By the rules of `bench/local_model.py`: ten times trained on nine tenths, thresholds too, and judged on the last tenth.
The vectors are those of all-MiniLM-L6-v2 (extra `sentence-model`), the classifier is logistic regression on them, and a
message is left alone where too little speaks against nobody. This is a measurement: the local model that ships knows
words only, because Flink's workers would need PyTorch for this.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# One core, as beside a router; before numpy is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from pointsman.catalog import Catalog
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.evaluation.dataset import read_dataset
from pointsman.knowledge.embedding import SentenceModel
from pointsman.local_model.features import features, values
from pointsman.local_model.fitting import fit
from pointsman.local_model.judging import Choice, shares
from pointsman.local_model.labelled import Labelled, choices
from pointsman.local_model.model import NOBODY

FOLDS = 10
INNER_FOLDS = 5
SEED = 11
MOST_FEATURES = 40_000
KEEP = 0.963
REGULARISATION = 10.0


def main() -> None:
    """Run it and print the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--catalog", type=Path, required=True, help="folder of agent definitions")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    labelled = choices(read_dataset(options.dataset), Catalog.of(load_folder_or_raise(options.catalog).definitions))
    embedder = SentenceModel()
    meaning, words = np.array(embedder.embed([_text(each) for each in labelled])), _words(labelled)
    looked_at = {"words": words, "vectors": meaning, "both": np.hstack([words, meaning])}
    result = {
        "dataset": options.dataset.name,
        "messages": len(labelled),
        "nobody": sum(each.answer == NOBODY for each in labelled),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "embedding": embedder.name,
        "closed_set": {name: {"keep 0.963": shares(_judged(labelled, vectors))} for name, vectors in looked_at.items()},
    }
    text = json.dumps(result, indent=2)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


def _judged(labelled: Sequence[Labelled], vectors: Any) -> list[Choice]:
    answers = np.array([each.answer for each in labelled])
    found = []
    for kept, left_out in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(answers, answers):
        inner = StratifiedKFold(INNER_FOLDS, shuffle=True, random_state=SEED)
        unseen = cross_val_predict(_classifier(), vectors[kept], answers[kept], cv=inner, method="predict_proba")
        model = _classifier().fit(vectors[kept], answers[kept])
        nobody = list(model.classes_).index(NOBODY)
        in_scope = np.sort(1 - unseen[answers[kept] != NOBODY, nobody])
        threshold = in_scope[int((1 - KEEP) * len(in_scope))]
        for index, sure in zip(left_out, model.predict_proba(vectors[left_out]), strict=True):
            by_agent = dict(zip(model.classes_, sure, strict=True))
            agent = max(labelled[index].agents, key=lambda name: by_agent[name])
            is_taken = bool(1 - by_agent[NOBODY] >= threshold)
            found.append(Choice(answer=labelled[index].answer, agent=agent, is_taken=is_taken))
    return found


def _words(labelled: Sequence[Labelled]) -> Any:
    """What the local model sees, a row per message; the vocabulary is that of all of them."""
    linear = fit(labelled, MOST_FEATURES)
    rows = np.zeros((len(labelled), len(linear.vocabulary)), dtype=np.float32)
    for row, each in zip(rows, labelled, strict=True):
        columns, told = linear.scaled(features(each.event_type, each.payload, linear.cuts))
        row[columns] = told
    return rows


def _classifier() -> LogisticRegression:
    return LogisticRegression(C=REGULARISATION, max_iter=500)


def _text(message: Labelled) -> str:
    """What the words are taken from, too: an id would tell which part of the data set a message was written for."""
    told = (str(value) for _, value in values(message.payload) if isinstance(value, str | int | float))
    return " ".join([message.event_type, *told])


if __name__ == "__main__":
    main()
