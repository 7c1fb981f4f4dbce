"""The definitions that ship, the schema that editors read, and the examples in the docs hold together."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pointsman.contracts import Contract
from pointsman.definitions import AgentDefinition
from pointsman.definitions.keywords import ALL
from pointsman.definitions.loader import load_folder
from pointsman.definitions.schema import FILE_NAME, agent_schema, schema_text
from pointsman.definitions.source import parse

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "agent_definitions"
SHIPPED = sorted(FOLDER.glob("*.yaml"))
EXAMPLES = [
    (path.name, block)
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    if path.exists()
    for block in re.findall(r"```yaml\n(.*?)```", path.read_text(), re.DOTALL)
    if re.search(r"^accepts:", block, re.MULTILINE) and re.search(r"^name:", block, re.MULTILINE)
]


def test_the_shipped_definitions_are_valid() -> None:
    result = load_folder(FOLDER)
    assert [str(problem) for problem in result.problems] == []
    assert len(result.definitions) >= 5


def test_the_committed_schema_is_not_stale() -> None:
    message = f"write it anew: `pointsman agents schema > agent_definitions/{FILE_NAME}`"
    assert (FOLDER / FILE_NAME).read_text() == schema_text(), message


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_editors_are_told_where_the_schema_is(path: Path) -> None:
    assert path.read_text().splitlines()[0] == f"# yaml-language-server: $schema=./{FILE_NAME}"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_the_schema_takes_what_the_loader_takes(path: Path) -> None:
    assert Contract(agent_schema()).violation(parse(path.read_text(), path.name).data) is None


def test_the_schema_refuses_unknown_keys_on_every_level() -> None:
    schema = Contract(agent_schema())
    good = parse(SHIPPED[0].read_text(), SHIPPED[0].name).data
    entry = good["accepts"][0]
    for bad in (
        {**good, "acepts": []},
        {**good, "limits": {"atempts": 1}},
        {**good, "accepts": [{**entry, "typ": "a.b"}]},
        {**good, "accepts": [{**entry, "contract": {"propertis": {}}}]},
    ):
        assert schema.violation(bad)


def test_the_schema_names_every_field_and_every_word_of_a_contract() -> None:
    schema = agent_schema()
    assert list(schema["properties"]) == list(AgentDefinition.model_fields)
    assert set(schema["$defs"]["contract"]["properties"]) == ALL


@pytest.mark.parametrize(("document", "block"), EXAMPLES)
def test_examples_in_the_docs_are_valid_beside_the_shipped_ones(tmp_path: Path, document: str, block: str) -> None:
    name = re.search(r"^name: (\w+)", block, re.MULTILINE)
    assert name, f"the example in {document} has no plain name"
    (tmp_path / f"{name.group(1)}.yaml").write_text(block)
    result = load_folder(tmp_path, beside=load_folder(FOLDER).definitions)
    assert [str(problem) for problem in result.problems] == []


def test_the_docs_show_at_least_one_definition() -> None:
    assert EXAMPLES
