"""A run as a file, and two runs compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pointsman.errors import ConfigurationError
from pointsman.evaluation.running import Result


@dataclass(frozen=True, kw_only=True)
class Run:
    """One evaluation.

    Attributes:
        dataset: what was decided on.
        decider: what decided, in words.
        catalog: version of the definitions.
        results: what was decided, in the data set's order.
    """

    dataset: str
    decider: str
    catalog: str
    results: Sequence[Result]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What two runs did otherwise on the examples that both have.

    Attributes:
        mended: wrong before, right now.
        broken: right before, wrong now.
    """

    mended: Sequence[Result]
    broken: Sequence[Result]


def save_run(run: Run, path: Path) -> None:
    """Write a run for later comparisons; what stands there is replaced.

    Raises:
        ConfigurationError: the file cannot be written.
    """
    text = json.dumps(asdict(run), ensure_ascii=False, indent=1)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}", "choose another --save") from None


def load_run(path: Path) -> Run:
    """Read a run.

    Raises:
        ConfigurationError: there is no such file, or it holds no run.
    """
    remedy = "make one with `pointsman eval run DATASET --save FILE`"
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        results = [Result.from_json(each) for each in said["results"]]
        return Run(dataset=said["dataset"], decider=said["decider"], catalog=said["catalog"], results=results)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", remedy) from None
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"{path} holds no run", remedy) from None


def compare(before: Run, after: Run) -> Comparison:
    """What `after` mends and breaks; examples that only one of them has do not count."""
    was_right = {result.id: result.is_right for result in before.results}
    shared = [result for result in after.results if result.id in was_right]
    return Comparison(
        mended=[result for result in shared if result.is_right and not was_right[result.id]],
        broken=[result for result in shared if not result.is_right and was_right[result.id]],
    )
