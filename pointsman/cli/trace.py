"""`pointsman trace WORKFLOW`: what happened to one workflow, and why, hop by hop."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pointsman.cli.options import FromArchive, Unmask
from pointsman.cli.output import Output, OutputOption, print_lines, working
from pointsman.errors import ConfigurationError
from pointsman.masking import masked, masked_line
from pointsman.plaintext import many_lines, one_line
from pointsman.settings import settings
from pointsman.timeline import Part, Row, Timeline, Usage, timeline
from pointsman.workflow_records import WorkflowRecords, load_workflow

_LONGEST_TEXT: Final = 5_000
_INDENT: Final = " " * 27


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(trace)


def trace(
    workflow: Annotated[str, typer.Argument(help="The workflow's id: the lead's, where a lead began it.")],
    archive: FromArchive = None,
    *,
    unmask: Unmask = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Tell the way of one workflow over MongoDB, Kafka, Flink, model and mail: what came in, who got it and why."""
    with working("reading MongoDB and Kafka"):
        found = load(workflow, archive)
    told = timeline(workflow, found.records, found.effects)
    if not told.rows:
        what = f"nothing is known of workflow {masked_line(workflow)}"
        raise ConfigurationError(what, "`pointsman workflows ls` lists those that there are")
    print_lines(lines(told, unmask=unmask), told.to_json(unmask=unmask), output)


def load(workflow: str, archive: Path | None = None) -> WorkflowRecords:
    """What the cluster and the store that the settings name, and `archive`, hold about `workflow`."""
    return load_workflow(workflow, settings(), archive)


def lines(told: Timeline, *, unmask: bool) -> Iterator[str]:
    """The timeline for a terminal."""
    yield f"workflow {masked_line(told.workflow_id)}"
    hop = -1
    for row in told.rows:
        if row.hop != hop:
            hop = row.hop
            yield ""
        yield from _row(row, unmask=unmask)


def _row(row: Row, *, unmask: bool) -> Iterator[str]:
    at = row.at.astimezone().strftime("%H:%M:%S.%f")[:-3] if row.at else "-"
    text = _plain if unmask else masked_line
    place = f"  [{row.place}]" if row.place else ""
    yield f"{at:<14}{row.part.value.replace('_', ' '):<13}{text(_headline(row))}{place}"
    for line in _details(row):
        yield f"{_INDENT}{text(line)}"
    for line in _content(row) if unmask else _masked_content(row):
        yield f"{_INDENT}{line}"


def _headline(row: Row) -> str:
    again = f" (sent again, attempt {row.attempt})" if row.attempt and row.part is Part.MESSAGE else ""
    to = f" → {row.receiver}" if row.receiver else ""
    return {
        Part.MESSAGE: f"{row.title} from {row.sender}{again}",
        Part.DECISION: f"{row.title}{to} ({row.how}: {row.code}) catalog {row.catalog}",
        Part.INBOX: f"{row.title}{to}",
        Part.DEAD_LETTER: f"{row.title} failed at {row.sender}: {row.code}",
        Part.ESCALATION: f"{row.title} waits for a person: {row.code}",
        Part.EFFECT: f"{row.title} by {row.sender}" if row.sender else row.title,
        Part.PERSON: f"{row.title} by {row.sender}",
    }.get(row.part, row.title)


def _details(row: Row) -> Iterator[str]:
    if row.why:
        yield row.why
    for candidate in row.candidates:
        yield f"{'+' if candidate.fits else '-'} {candidate.agent} {candidate.version}: {candidate.why}"
    if row.usage:
        yield usage_text(row.usage)


def usage_text(usage: Usage) -> str:
    """What a model did, in one line."""
    price = "price unknown" if usage.cost_usd is None else f"{usage.cost_usd:.6f} USD"
    latency = "" if usage.latency_ms is None else f", {usage.latency_ms:.0f} ms"
    calls = f"{usage.calls} call{'' if usage.calls == 1 else 's'}"
    return f"{calls}, {usage.input_tokens} tokens in, {usage.output_tokens} out, {price}{latency}"


def _masked_content(row: Row) -> Iterator[str]:
    """Ids and numbers in one line; how many texts there are instead of what they say."""
    shown = {name: value for name, value in masked(dict(row.content)).items() if not isinstance(value, dict | list)}
    told = [f"{one_line(name, 60)}={value}" for name, value in shown.items() if not _is_hidden(value)]
    hidden = len(row.content) - len(told)
    if told or hidden:
        yield " ".join([*told, *([f"({hidden} more: --unmask)"] if hidden else [])])


def _is_hidden(value: Any) -> bool:
    return isinstance(value, str) and value.startswith("[text of ")


def _content(row: Row) -> Iterator[str]:
    for name, value in row.content.items():
        text = value if isinstance(value, str) else _compact(value)
        first, *rest = many_lines(text, _LONGEST_TEXT).split("\n") or [""]
        yield f"{one_line(name, 60)}: {first}"
        yield from (f"  {line}" for line in rest)


def _compact(value: Any) -> str:
    if isinstance(value, dict):
        return "\n" + "\n".join(f"{one_line(str(name), 60)}: {_compact(inner)}" for name, inner in value.items())
    if isinstance(value, list):
        return ", ".join(map(_compact, value))
    return str(value)


def _plain(text: str) -> str:
    return one_line(text, _LONGEST_TEXT)
