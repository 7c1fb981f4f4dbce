"""Reads a folder of agent definitions: all of it, or everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from pointsman.definitions.checks import check
from pointsman.definitions.files import definition_files, read_text, shown
from pointsman.definitions.model import AgentDefinition
from pointsman.definitions.problems import Problem
from pointsman.definitions.source import Source, parse
from pointsman.definitions.validation import validate
from pointsman.errors import InvalidDefinitionsError

_MOST_PER_FILE: Final = 50


@dataclass(frozen=True, kw_only=True)
class LoadResult:
    """What a folder holds.

    Attributes:
        definitions: the valid definitions, by name.
        problems: errors and warnings of all files, by file and line.
        sources: the parsed files by agent name, for findings that need a place.
    """

    definitions: tuple[AgentDefinition, ...]
    problems: tuple[Problem, ...]
    sources: Mapping[str, Source] = field(default_factory=dict, repr=False)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """What stops an apply."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    @property
    def warnings(self) -> tuple[Problem, ...]:
        """What a person should look at."""
        return tuple(problem for problem in self.problems if problem.severity == "warning")


def load_folder(folder: Path, *, beside: Iterable[AgentDefinition] = ()) -> LoadResult:
    """Read every definition in `folder` and compare them with each other.

    Args:
        folder: holds one `<name>.yaml` per agent.
        beside: definitions in force that the folder does not hold; they take part in the comparison.
    """
    definitions: dict[str, AgentDefinition] = {}
    sources: dict[str, Source] = {}
    problems: list[Problem] = []
    for source, read_problems in _sources(folder):
        definition, found = validate(source) if source else (None, [])
        problems += [*read_problems, *_bounded(found)]
        if source and isinstance(source.data, dict):
            problems += _clash(source, sources)
        if definition and source:
            definitions[definition.name] = definition
    if all(problem.severity != "error" for problem in problems):
        others = [other for other in beside if other.name not in definitions]
        problems += check([*definitions.values(), *others], sources)
    return LoadResult(
        definitions=tuple(definitions[name] for name in sorted(definitions)),
        problems=tuple(sorted(problems, key=_order)),
        sources=sources,
    )


def load_text(text: str, path: str, *, beside: Iterable[AgentDefinition] = ()) -> LoadResult:
    """Read one definition from `text`, as `load_folder` reads a file.

    Args:
        text: the YAML.
        path: the file's name, `<name>.yaml`; problems name it.
        beside: definitions in force; they take part in the comparison.
    """
    source = parse(text, path)
    definition, found = validate(source)
    problems = _bounded(found)
    if definition:
        others = [other for other in beside if other.name != definition.name]
        problems += check([definition, *others], {definition.name: source})
    return LoadResult(
        definitions=(definition,) if definition else (), problems=tuple(sorted(problems, key=_order)), sources={}
    )


def load_folder_or_raise(folder: Path) -> LoadResult:
    """As `load_folder`, for callers that can do nothing with a broken folder.

    Raises:
        InvalidDefinitionsError: one or more definitions are wrong; it holds every error.
    """
    result = load_folder(folder)
    if result.errors:
        raise InvalidDefinitionsError(result.errors)
    return result


def _sources(folder: Path) -> Iterator[tuple[Source | None, list[Problem]]]:
    try:
        paths = list(definition_files(folder))
    except OSError as error:
        yield None, [Problem(path=shown(folder), message=f"the folder cannot be read: {error.strerror}")]
        return
    if not paths:
        yield None, [Problem(path=shown(folder), message="holds no agent definition (NAME.yaml)")]
    for path in paths:
        text = read_text(path, folder)
        yield (None, [text]) if isinstance(text, Problem) else (parse(text, shown(path)), [])


def _bounded(problems: list[Problem]) -> list[Problem]:
    more = len(problems) - _MOST_PER_FILE
    if more <= 0:
        return problems
    kept = sorted(problems, key=_order)[:_MOST_PER_FILE]
    return [*kept, replace(kept[-1], message=f"and {more} more problems in this file", severity="error")]


def _clash(source: Source, sources: dict[str, Source]) -> list[Problem]:
    name = source.data.get("name")
    if not isinstance(name, str):
        return []
    first = sources.setdefault(name, source)
    if first is source:
        return []
    message = f"two agents are called {name[:80]}: the other is in {first.path}"
    return [source.problem(source.value_place(("name",)), message)]


def _order(problem: Problem) -> tuple[str, int, int, str]:
    return problem.path, problem.line, problem.column, problem.message
