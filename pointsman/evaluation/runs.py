"""A run as a file, and two runs compared."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from pointsman.errors import ConfigurationError
from pointsman.evaluation.dataset import Example
from pointsman.evaluation.running import Result

_KEEP_ONE: Final = "keep one with `pointsman eval run DATASET --save FILE`"


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
    """What two runs did otherwise on the messages that both have, judged by the answers of the later one.

    Attributes:
        mended: wrong before, right now.
        broken: right before, wrong now.
        paired: how many messages of the later run the earlier one has, too.
        only_now: how many it has not.
        only_before: how many only the earlier one has.
    """

    mended: Sequence[Result]
    broken: Sequence[Result]
    paired: int
    only_now: int
    only_before: int


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
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        results = [Result.from_json(each) for each in said["results"]]
        return Run(dataset=said["dataset"], decider=said["decider"], catalog=said["catalog"], results=results)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", _KEEP_ONE) from None
    except (ValueError, KeyError, TypeError):
        raise ConfigurationError(f"{path} holds no run", _KEEP_ONE) from None


def load_baseline(path: Path, examples: Sequence[Example]) -> Run:
    """Read a run that one over `examples` is to be compared with.

    Raises:
        ConfigurationError: as `load_run`; or it does not say which messages it decided on, or has none of these.
    """
    run = load_run(path)
    known = {result.fingerprint for result in run.results}
    if "" in known:
        why = "does not say which messages it decided on: an earlier version kept it"
        raise ConfigurationError(f"{path} {why}", _KEEP_ONE)
    if not any(example.fingerprint in known for example in examples):
        what = f"holds none of the {len(examples)} messages of the data set: it is of {run.dataset}"
        raise ConfigurationError(f"{path} {what}", f"name a run of the same messages, or {_KEEP_ONE}")
    return run


def compare(before: Run, after: Run) -> Comparison:
    """What `after` mends and breaks; a message that only one of them has does not count."""
    pairs = _pairs(before, after)
    now = {result.fingerprint for result in after.results}
    return Comparison(
        mended=[result for earlier, result in pairs if result.is_right and earlier.agent != result.answer],
        broken=[result for earlier, result in pairs if not result.is_right and earlier.agent == result.answer],
        paired=len(pairs),
        only_now=len(after.results) - len(pairs),
        only_before=sum(result.fingerprint not in now for result in before.results),
    )


def _pairs(before: Run, after: Run) -> list[tuple[Result, Result]]:
    """What both runs decided on the same message, the earlier one first."""
    # Ids alone will not do: where a data set has none they are line numbers, which move when a line is inserted.
    by_message = {result.fingerprint: result for result in before.results}
    # They help where a message stands there twice.
    by_id = {(result.fingerprint, result.id): result for result in before.results}
    found = ((by_id.get((each.fingerprint, each.id), by_message.get(each.fingerprint)), each) for each in after.results)
    return [(earlier, later) for earlier, later in found if earlier is not None]
