"""Checks of `instructions`: a Jinja2 template that may use `agent` and `event_type`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from jinja2 import TemplateSyntaxError, meta, nodes
from jinja2.sandbox import SandboxedEnvironment

from pointsman.definitions.problems import Problem
from pointsman.definitions.source import Path, Place, Source
from pointsman.definitions.words import did_you_mean

VARIABLES: Final = ("agent", "event_type")
_PATH: Final[Path] = ("instructions",)
_OTHER_TEMPLATES: Final = (nodes.Include, nodes.Import, nodes.FromImport, nodes.Extends)


def instruction_problems(source: Source, template: str) -> Iterator[Problem]:
    """What is wrong with the template that stands under `instructions` of `source`."""
    try:
        tree = SandboxedEnvironment().parse(template)
        undefined = meta.find_undeclared_variables(tree) - set(VARIABLES)  # looks for unknown filters and tests, too
    except TemplateSyntaxError as error:
        yield _no_template(source, error)
        return
    except (RecursionError, ValueError, OverflowError):
        yield source.problem(source.value_place(_PATH), "not a Jinja2 template: nested too deeply or a wrong number")
        return
    for name in sorted(undefined):
        known = did_you_mean(name, VARIABLES) or f": there are {' and '.join(VARIABLES)}"
        message = f"the variable {name[:60]} is not defined{known}"
        yield source.problem(_place(source, _line_of(tree, name), name), message)
    for other in tree.find_all(_OTHER_TEMPLATES):
        yield source.problem(_place(source, other.lineno, None), "a template cannot load another one")


def _no_template(source: Source, error: TemplateSyntaxError) -> Problem:
    message = f"not a Jinja2 template: {(error.message or 'syntax error')[:200]}"
    return source.problem(_place(source, error.lineno, None), message)


def _line_of(tree: nodes.Template, name: str) -> int:
    return next((node.lineno for node in tree.find_all(nodes.Name) if node.name == name), 1)


def _place(source: Source, template_line: int, word: str | None) -> Place:
    """Where the template's line stands in the file; only a literal block (`|`) keeps its lines."""
    start = source.value_place(_PATH)
    lines = source.text.split("\n")
    line = start.line + template_line
    if _PATH not in source.literal or line > len(lines):
        return start
    text = lines[line - 1]
    column = text.find(word) if word else len(text) - len(text.lstrip())
    return Place(line, max(column, 0) + 1)
