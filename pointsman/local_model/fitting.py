"""Fits the local model's classifier. Needs scikit-learn."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier

from pointsman.local_model.features import GROUPS, Cuts, features, numbers
from pointsman.local_model.labelled import Labelled
from pointsman.local_model.model import Linear

_MIN_DOCUMENTS: Final = 2
_INVERSE_REGULARISATION: Final = 20.0
_QUANTILES: Final = 19
_SEED: Final = 7


def fit(examples: Sequence[Labelled], most_features: int) -> Linear:
    """A classifier for messages like `examples`, whose answers are two different ones at least.

    Args:
        examples: messages that leave a choice.
        most_features: upper bound of the vocabulary; the most frequent features stay.
    """
    cuts = _cuts(examples)
    counted = [features(example.event_type, example.payload, cuts) for example in examples]
    documents = Counter(name for counts in counted for name in counts)
    names = [name for name, times in documents.most_common(most_features) if times >= _MIN_DOCUMENTS]
    kinds = {kind: index for index, kind in enumerate(GROUPS)}
    rarity = [np.log((1 + len(examples)) / (1 + documents[name])) + 1 for name in names]
    empty = Linear(
        classes=(),
        vocabulary={name: column for column, name in enumerate(names)},
        idf=np.array(rarity, dtype=np.float32),
        groups=np.array([kinds[name[0]] for name in names], dtype=np.int8),
        weights=np.zeros((len(names), 0), dtype=np.float32),
        bias=np.zeros(0, dtype=np.float32),
        cuts=cuts,
    )
    return _fitted(empty, _matrix(empty, counted), [example.answer for example in examples])


def _fitted(empty: Linear, matrix: Any, answers: Sequence[str]) -> Linear:
    found = OneVsRestClassifier(_classifier()).fit(matrix, answers)
    weights = np.vstack([each.coef_ for each in found.estimators_]).T
    bias = np.concatenate([each.intercept_ for each in found.estimators_])
    classes = tuple(str(name) for name in found.classes_)
    if len(classes) == 2:
        # Of two classes one estimator is fitted, for the second.
        weights, bias = np.hstack([-weights, weights]), np.concatenate([-bias, bias])
    return Linear(
        classes=classes,
        vocabulary=empty.vocabulary,
        idf=empty.idf,
        groups=empty.groups,
        weights=weights.astype(np.float32),
        bias=bias.astype(np.float32),
        cuts=empty.cuts,
    )


def _classifier() -> Any:
    # liblinear: many features and few messages, and it keeps to one core.
    return LogisticRegression(C=_INVERSE_REGULARISATION, solver="liblinear", random_state=_SEED)


def _matrix(linear: Linear, counted: Sequence[Mapping[str, int]]) -> Any:
    scaled = [linear.scaled(counts) for counts in counted]
    rows = np.concatenate([np.full(len(columns), row) for row, (columns, _) in enumerate(scaled)])
    columns = np.concatenate([columns for columns, _ in scaled])
    values = np.concatenate([values for _, values in scaled])
    return csr_matrix((values, (rows, columns)), shape=(len(counted), len(linear.vocabulary)))


def _cuts(examples: Sequence[Labelled]) -> Cuts:
    seen: dict[str, list[float]] = defaultdict(list)
    for example in examples:
        for path, value in numbers(example.payload):
            seen[path].append(value)
    shares = np.linspace(0, 1, _QUANTILES + 2)[1:-1]
    return {path: sorted(set(np.quantile(values, shares).tolist())) for path, values in seen.items()}
