r"""How good and how fast a local model is on messages that it has never seen, neither for weights nor for thresholds.

    python bench/local_model.py examples/evaluation/sdr.jsonl --catalog agent_definitions \
        --out bench/results/local-model.json

    python bench/local_model.py test.jsonl --train train.jsonl

Ten times a model is trained on nine tenths of the data set and judged on the last tenth; the figures are over all
tenths. `open_set` trains without messages for nobody, as data sets of intents do (CLINC150); `closed_set` trains with
them. With --train it is trained once, on that data set, and judged on all of the other (`apart`;
`nobody_caught_where_kept`: by thresholds taken from the messages judged on; `draws`: five models of four fifths of the
training data, judged on the fifth that was left out and apart). `calibration_error`: how far the confidence of all
choices, taken or not, is from the share of right ones, over tenths of confidence.
Without --catalog every answer in the data sets is a candidate for every message.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# One core, as beside a router; before numpy is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from sklearn.model_selection import StratifiedKFold

from pointsman.catalog import Catalog
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.evaluation.dataset import Example, read_dataset
from pointsman.evaluation.measures import binned, calibration_error
from pointsman.local_model.judging import Choice, shares
from pointsman.local_model.labelled import Labelled, choices
from pointsman.local_model.model import NOBODY, LocalModel
from pointsman.local_model.training import Target, train

FOLDS = 10
DRAWS = 5
SEED = 11
TARGETS = {"accuracy 0.95": Target(accuracy=0.95), "keep 0.963": Target(keep=0.963, accuracy=None)}
KEPT = (0.9, 0.95, 0.963, 0.98)

Said = tuple[Choice, float | None]
"""A choice and how sure it was; None where the model abstained."""


def main() -> None:
    """Run it and print the result as JSON."""
    options = _options()
    own = read_dataset(options.dataset)
    others = read_dataset(options.train) if options.train else []
    agents = _agents([*own, *others])
    labelled, seen = _labelled(own, options.catalog, agents), _labelled(others, options.catalog, agents)
    result = {
        "dataset": options.dataset.name,
        "messages": len(labelled),
        "nobody": sum(each.answer == NOBODY for each in labelled),
        "machine": f"{platform.machine()}, Python {platform.python_version()}, load {os.getloadavg()[0]:.0f}",
        **(_judged_apart(seen, labelled) if seen else _judged_by_folds(labelled)),
        "time_us": _times(train(seen or labelled, Target()), labelled),
    }
    text = json.dumps(result, indent=2)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path)
    parser.add_argument("--catalog", type=Path, help="folder of agent definitions")
    parser.add_argument("--train", type=Path, help="data set to train on; without, nine tenths of the one judged on")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def _agents(examples: Sequence[Example]) -> tuple[str, ...]:
    return tuple(sorted({each.answer for each in examples if each.answer}))


def _labelled(examples: Sequence[Example], catalog: Path | None, agents: tuple[str, ...]) -> list[Labelled]:
    if catalog:
        return choices(examples, Catalog.of(load_folder_or_raise(catalog).definitions))
    return [
        Labelled(event_type=each.event_type, payload=each.payload, agents=agents, answer=each.answer or NOBODY)
        for each in examples
    ]


def _judged_apart(seen: Sequence[Labelled], labelled: Sequence[Labelled]) -> dict[str, Any]:
    models = {name: train(seen, target) for name, target in TARGETS.items()}
    return {
        "trained_on": len(seen),
        "apart": {name: _figures([_said(model, each) for each in labelled]) for name, model in models.items()},
        "nobody_caught_where_kept": _caught_where_kept(models["keep 0.963"], labelled),
        "draws": _draws(seen, labelled),
    }


def _draws(seen: Sequence[Labelled], labelled: Sequence[Labelled]) -> dict[str, Any]:
    """What other models do by the threshold that training chooses, on the part left out of their data set and apart."""
    answers = [each.answer for each in seen]
    left_out, apart = [], []
    for kept, left in StratifiedKFold(DRAWS, shuffle=True, random_state=SEED).split(answers, answers):
        model = train([seen[index] for index in kept], TARGETS["keep 0.963"])
        left_out.append(_figures([_said(model, seen[index]) for index in left]))
        apart.append(_figures([_said(model, each) for each in labelled]))
    return {
        "trained_on": len(seen) * (DRAWS - 1) // DRAWS,
        "left_out": {name: [one[name] for one in left_out] for name in ("right_agent", "in_scope_kept")},
        "apart": {name: [one[name] for one in apart] for name in ("right_agent", "in_scope_kept", "nobody_caught")},
    }


def _caught_where_kept(model: LocalModel, labelled: Sequence[Labelled]) -> dict[str, float]:
    """The share of messages for nobody that is left alone where exactly such a share of the others is acted on."""
    said = [(each.answer, model.choose(each.event_type, each.payload, each.agents)) for each in labelled]
    sure = [(answer, choice.confidence) for answer, choice in said if choice]
    kept = sorted(confidence for answer, confidence in sure if answer != NOBODY)
    nobody = [confidence for answer, confidence in sure if answer == NOBODY]
    least = {share: kept[int((1 - share) * len(kept))] for share in KEPT}
    return {str(share): round(sum(one < least[share] for one in nobody) / max(1, len(nobody)), 4) for share in KEPT}


def _judged_by_folds(labelled: Sequence[Labelled]) -> dict[str, Any]:
    return {
        "closed_set": {name: _judged(labelled, target, with_nobody=True) for name, target in TARGETS.items()},
        "open_set": {name: _judged(labelled, target, with_nobody=False) for name, target in TARGETS.items()},
    }


def _judged(labelled: Sequence[Labelled], target: Target, *, with_nobody: bool) -> dict[str, Any]:
    answers = [each.answer for each in labelled]
    found: list[Said] = []
    for kept, left_out in StratifiedKFold(FOLDS, shuffle=True, random_state=SEED).split(answers, answers):
        seen = [labelled[index] for index in kept if with_nobody or labelled[index].answer != NOBODY]
        model = train(seen, target)
        found += [_said(model, labelled[index]) for index in left_out]
    return _figures(found)


def _said(model: LocalModel, each: Labelled) -> Said:
    choice = model.choose(each.event_type, each.payload, each.agents)
    if choice is None:
        return Choice(answer=each.answer, agent=NOBODY, is_taken=False), None
    return Choice(answer=each.answer, agent=choice.agent, is_taken=choice.is_sure), choice.confidence


def _figures(found: Sequence[Said]) -> dict[str, Any]:
    sure = [(confidence, choice.agent == choice.answer) for choice, confidence in found if confidence is not None]
    error = calibration_error(binned(sure))
    return {
        **shares([choice for choice, _ in found]),
        "calibration_error": None if error is None else round(error, 4),
    }


def _times(model: LocalModel, labelled: Sequence[Labelled], repeats: int = 5) -> dict[str, float]:
    took = []
    for each in [*labelled] * repeats:
        began = time.perf_counter()
        model.choose(each.event_type, each.payload, each.agents)
        took.append((time.perf_counter() - began) * 1e6)
    ordered = sorted(took)
    return {"p50": round(statistics.median(ordered)), "p95": round(ordered[int(0.95 * len(ordered))])}


if __name__ == "__main__":
    main()
