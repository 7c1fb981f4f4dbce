"""`pointsman knowledge`: the team's own documents, which agents may cite."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pointsman.cli.options import DryRun, Yes, confirm
from pointsman.cli.output import Output, OutputOption, advancing, print_lines, print_rows, working
from pointsman.definitions.model import COLLECTION_PATTERN
from pointsman.errors import ConfigurationError, RefusedError
from pointsman.plaintext import one_line
from pointsman.settings import settings

if TYPE_CHECKING:
    from pointsman.knowledge.embedding import Embedder
    from pointsman.knowledge.index import Index
    from pointsman.knowledge.ingestion import Done
    from pointsman.knowledge.measures import Measured
    from pointsman.knowledge.retrieval import Way

app = typer.Typer(no_args_is_help=True)

_TEXT_CHARS = 200


def _collection(name: str | None) -> str | None:

    if name is not None and not re.fullmatch(COLLECTION_PATTERN, name):
        raise typer.BadParameter("lower case letters, digits, - and _; a letter first")
    return name


Collection = Annotated[
    str, typer.Option("--collection", "-c", callback=_collection, help="Which documents; definitions name it.")
]
AnyCollection = Annotated[
    str | None, typer.Option("--collection", "-c", callback=_collection, help="Only these documents.")
]


@app.command()
def add(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of Markdown, HTML, PDF and text files.")],
    collection: Collection,
    *,
    prune: Annotated[bool, typer.Option("--prune", help="Also take out what is not in the folder.")] = False,
    dry_run: DryRun = False,
    output: OutputOption = Output.TABLE,
) -> None:
    """Bring a collection up to date with a folder: only what has changed is read and embedded."""
    from pointsman.knowledge.ingestion import Outcome, files_of, ingest

    done: list[Done] = []
    if dry_run:
        done = _previewed(folder, collection, prune=prune)
    else:
        with _index(may_write=True) as (index, embedder), advancing(len(files_of(folder)), "documents") as advance:
            for each in ingest(folder, collection, index, embedder, _now, prune=prune):
                done.append(each)
                advance()
    columns = ("source", "outcome", "passages", "embedded", "problem")
    rows = [{name: getattr(each, name) for name in columns} for each in done]
    print_rows(rows, columns, output, right=("passages", "embedded"))
    failed = sum(each.outcome is Outcome.FAILED for each in done)
    if failed:
        raise RefusedError(f"{failed} of {len(done)} documents were not added", "the others are; mend these, add again")


def _previewed(folder: Path, collection: str, *, prune: bool) -> list[Done]:
    from pointsman.knowledge.ingestion import previewed
    from pointsman.knowledge.retrieval import is_there

    if not is_there(settings()):
        return list(previewed(folder, collection, None, _now, prune=prune))
    with _index() as (index, _):
        return list(previewed(folder, collection, index, _now, prune=prune))


@app.command("ls")
def list_documents(collection: AnyCollection = None, output: OutputOption = Output.TABLE) -> None:
    """List the documents that are there."""
    with _index() as (index, _):
        found = index.documents(collection)
    rows = [
        {"collection": one.collection, "source": one.source, "passages": one.passages, "added": one.added_at}
        for one in found
    ]
    print_rows(rows, ("collection", "source", "passages", "added"), output, right=("passages",))


@app.command("search")
def search_documents(
    query: Annotated[str, typer.Argument(help="What the passages should be about.")],
    collection: Collection,
    passages: Annotated[int, typer.Option("--passages", "-k", min=1, max=50, help="How many at most.")] = 5,
    output: OutputOption = Output.TABLE,
) -> None:
    """Show the passages that an agent would get."""
    from pointsman.knowledge.retrieval import search

    with _index() as (index, embedder), working("searching"):
        found = search(index, embedder, query, collection=collection, passages=passages)
    rows = [
        {"source": one.source, "heading": one.heading, "passage": one.id, "score": one.score, "text": one.text}
        for one in found
    ]
    if output is Output.TABLE:
        rows = [{**row, "text": one_line(str(row["text"]), _TEXT_CHARS)} for row in rows]
    print_rows(rows, ("score", "source", "heading", "text"), output, right=("score",))


@app.command("rm")
def remove(
    sources: Annotated[list[str] | None, typer.Argument(metavar="[SOURCE]...", help="As `ls` names them.")] = None,
    collection: AnyCollection = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="All documents, of --collection if it is given.")] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Take documents out."""
    if everything == bool(sources):
        raise typer.BadParameter("name documents, or give --all")
    with _index(may_write=not dry_run) as (index, _):
        wanted = [one for one in index.documents(collection) if everything or one.source in (sources or [])]
        unknown = set(sources or []) - {one.source for one in wanted}
        if unknown:
            remedy = "`pointsman knowledge ls` lists those that there are"
            raise RefusedError(f"not there: {', '.join(one_line(name, 200) for name in sorted(unknown))}", remedy)
        if dry_run:
            typer.echo(f"would take {len(wanted)} documents out")
            return
        confirm(f"take {len(wanted)} documents out?", yes=yes)
        for one in wanted:
            index.remove(one.collection, one.source)
    typer.echo(f"{len(wanted)} documents taken out")


@app.command("eval")
def evaluate(
    questions: Annotated[Path, typer.Argument(metavar="QUESTIONS", help="Labelled questions, JSON Lines.")],
    collection: Collection,
    fail_under: Annotated[
        float | None, typer.Option(min=0, max=1, help="Exit code 1 if the mean reciprocal rank is lower.")
    ] = None,
    output: OutputOption = Output.TABLE,
) -> None:
    """Measure how well passages are found: recall@k and mean reciprocal rank, by words, by vectors and by both."""
    from pointsman.knowledge.measures import DEPTHS, measured, read_questions
    from pointsman.knowledge.retrieval import Way, search

    labelled = read_questions(questions)
    with _index() as (index, embedder), working("searching"):
        if not index.documents(collection):
            raise ConfigurationError(f"there are no documents in {collection}", "`pointsman knowledge add` them first")
        found = {
            way: measured(
                labelled,
                lambda query, way=way: search(  # type: ignore[misc]
                    index, embedder, query, collection=collection, passages=DEPTHS[-1], way=way
                ),
            )
            for way in Way
        }
        name = embedder.name
    print_lines(_told(name, found), {"embedding": name, **{way.value: vars(one) for way, one in found.items()}}, output)
    if fail_under is not None and found[Way.HYBRID].mrr < fail_under:
        raise RefusedError(f"the mean reciprocal rank {found[Way.HYBRID].mrr:.3f} is below {fail_under}")


def _told(embedding: str, found: dict[Way, Measured]) -> Iterator[str]:
    from pointsman.knowledge.measures import DEPTHS

    first = next(iter(found.values()))
    yield f"{first.questions} questions, embedding {embedding}"
    if embedding.startswith("hashed"):
        yield "hashed n-grams compare spelling and know no meaning: set POINTSMAN_EMBEDDINGS for more"
    yield f"{'':<9}{''.join(f'recall@{depth:<5}' for depth in DEPTHS)}MRR"
    for way, one in found.items():
        yield f"{way.value:<9}{''.join(f'{one.recall[depth]:<12.1%}' for depth in DEPTHS)}{one.mrr:.3f}"
    for query in found[next(iter(found))].missed:
        yield f"not found: {one_line(query, _TEXT_CHARS)}"


@contextmanager
def _index(*, may_write: bool = False) -> Iterator[tuple[Index, Embedder]]:
    from pointsman.knowledge.retrieval import is_there, open_index

    if not may_write and not is_there(settings()):
        raise ConfigurationError("no documents were added yet", "`pointsman knowledge add DIR --collection NAME`")
    with closing(_embedder()) as embedder, closing(open_index(settings(), embedder, may_write=may_write)) as index:
        yield index, embedder


def _embedder() -> Embedder:
    from pointsman.knowledge.embedding import embedder_of

    return embedder_of(settings())


def _now() -> datetime:
    return datetime.now(UTC)
