from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pointsman.avro.schema import JSON_TEXT, changes, following, schema_of
from pointsman.avro.subjects import problems, register, schemas
from pointsman.definitions import AgentDefinition
from pointsman.definitions.loader import load_folder
from pointsman.errors import InvalidDefinitionsError
from tests.memory_registry import MemoryRegistry

ROOT = Path(__file__).parents[2]
TEXT, WHOLE = {"type": "string"}, {"type": "integer"}


def contract(required: list[str] | None = None, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": required or [], "properties": properties}


def agent(name: str, accepted: dict[str, Any]) -> AgentDefinition:
    return AgentDefinition.model_validate({
        "name": name, "version": "1.0.0", "description": "Takes what was said.",
        "accepts": [{"type": "word.said", "contract": accepted}],
        "emits": [{"type": f"{name}.done", "terminal": True, "contract": {"type": "object"}}],
    })  # fmt: skip


def fields(schema: dict[str, Any]) -> dict[str, Any]:
    return {field["name"]: field["type"] for field in schema["fields"]}


def test_a_record_is_named_after_the_event_type() -> None:
    schema = schema_of("lead.scored", [contract()])
    assert (schema["namespace"], schema["name"]) == ("lead", "scored")


def test_what_is_required_has_no_default_and_the_rest_may_be_left_out() -> None:
    schema = schema_of("word.said", [contract(["a"], a=TEXT, b=TEXT)])
    assert schema["fields"] == [
        {"name": "a", "type": "string"},
        {"name": "b", "type": ["null", "string"], "default": None},
    ]


def test_each_kind_of_property_has_its_avro_type() -> None:
    part = contract(["inner"], inner=TEXT)
    said = {
        "text": TEXT, "choice": {"enum": ["a", "b"]}, "whole": WHOLE, "number": {"type": "number"},
        "flag": {"type": "boolean"}, "part": part, "list": {"type": "array", "items": WHOLE},
        "map": {"type": "object", "additionalProperties": TEXT}, "any": {}, "either": {"oneOf": [TEXT, WHOLE]},
        "nullable": {"type": ["string", "null"]},
    }  # fmt: skip
    found = fields(schema_of("word.said", [contract([*said], **said)]))
    record = {"type": "record", "name": "part", "namespace": "word.said"}
    assert found == {
        "text": "string", "choice": "string", "whole": "long", "number": ["long", "double"], "flag": "boolean",
        "part": {**record, "fields": [{"name": "inner", "type": "string"}]},
        "list": {"type": "array", "items": "long"}, "map": {"type": "map", "values": "string"}, "any": JSON_TEXT,
        "either": JSON_TEXT, "nullable": ["null", "string"],
    }  # fmt: skip


def test_an_open_contract_has_room_for_what_it_does_not_name() -> None:
    assert "_other" in fields(schema_of("word.said", [{"type": "object"}]))
    assert "_other" in fields(schema_of("word.said", [{**contract(), "properties": {"first name": TEXT}}]))
    assert "_other" not in fields(schema_of("word.said", [contract(a=TEXT)]))


def test_where_contracts_differ_the_wider_one_counts() -> None:
    one, other = contract(["a", "b"], a=TEXT, b=WHOLE, c=WHOLE), contract(["b"], a=TEXT, b={"type": "number"}, c=TEXT)
    found = {field["name"]: field for field in schema_of("word.said", [one, other])["fields"]}
    assert found["a"] == {"name": "a", "type": ["null", "string"], "default": None}
    assert found["b"] == {"name": "b", "type": ["long", "double"]}
    assert found["c"]["type"] == ["null", JSON_TEXT]


def test_what_could_be_left_out_may_still_be_left_out() -> None:
    before = schema_of("word.said", [contract(a=TEXT, p=contract(q=TEXT))])
    wanted = schema_of("word.said", [contract(["a", "p"], a=TEXT, p=contract(["q"], q=TEXT))])
    after = following(before, wanted)
    assert list(changes(before, wanted)) == []
    assert after == before


def test_a_changed_type_and_a_new_required_field_are_named() -> None:
    before = schema_of("word.said", [contract(["a", "p"], a=TEXT, p=contract(["q"], q=TEXT))])
    wanted = schema_of("word.said", [contract(["a", "n", "p"], a=WHOLE, n=TEXT, p=contract(["q"], q=WHOLE))])
    assert list(changes(before, wanted)) == [
        ("a", "was string and is long now"),
        ("n", "is new and required, and messages under way do not have it"),
        ("p.q", "was string and is long now"),
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [(WHOLE, {"type": "number"}), (TEXT, {"type": ["string", "null"]}), (TEXT, {}), (TEXT, {"enum": ["x"]})],
)
def test_a_wider_type_is_no_change_that_matters(before: Any, after: Any) -> None:
    one, other = (schema_of("word.said", [contract(["a"], a=kind)]) for kind in (before, after))
    assert list(changes(one, other)) == []


def test_every_type_of_the_shipped_definitions_has_a_schema_and_all_can_be_registered_twice() -> None:
    registry, definitions = MemoryRegistry(), load_folder(ROOT / "agent_definitions").definitions
    register(registry, definitions)
    register(registry, definitions)
    assert {f"agent_messages-{event_type}" for event_type in schemas(definitions)} == {*registry.by_subject}
    assert all(len(texts) == 1 for texts in registry.by_subject.values())
    assert "agent_messages-lead.scored" in registry.by_subject


def test_the_order_of_the_definitions_is_no_matter() -> None:
    one, other = agent("ann", contract(["a"], a=TEXT, z=TEXT)), agent("ben", contract(b=TEXT, a=TEXT))
    assert json.dumps(schemas([one, other])) == json.dumps(schemas([other, one]))


def test_an_agent_that_is_removed_changes_nothing_that_matters() -> None:
    registry = MemoryRegistry()
    register(registry, [agent("ann", contract(["a", "b"], a=TEXT, b=TEXT)), agent("ben", contract(["a"], a=TEXT))])
    register(registry, [agent("ann", contract(["a", "b"], a=TEXT, b=TEXT))])
    assert problems(registry, [agent("ann", contract(["a", "b"], a=TEXT, b=TEXT))]) == []


def test_an_incompatible_contract_is_refused_with_agent_field_and_what_to_do() -> None:
    registry = MemoryRegistry()
    register(registry, [agent("ann", contract(["a"], a=TEXT))])
    with pytest.raises(InvalidDefinitionsError) as caught:
        register(registry, [agent("ann", contract(["a"], a=WHOLE)), agent("ben", contract(["x"], x=TEXT))])
    assert [str(problem) for problem in caught.value.problems] == [
        "agent ann: error: field a of word.said was string and is long now (in the contracts of ann), and messages "
        "written before must stay readable: leave it as it was, or give the event a new type"
    ]
    assert [*registry.by_subject] == ["agent_messages-ann.done", "agent_messages-word.said"]


def test_a_problem_stands_where_the_field_stands_in_its_file(tmp_path: Path) -> None:
    registry = MemoryRegistry()
    text = (ROOT / "agent_definitions" / "send_email.yaml").read_text()
    (tmp_path / "send_email.yaml").write_text(text)
    register(registry, load_folder(tmp_path).definitions)
    (tmp_path / "send_email.yaml").write_text(text.replace("subject: { type: string,", "subject: { type: integer,", 1))
    result = load_folder(tmp_path)
    [problem] = problems(registry, result.definitions, result.sources)
    line = (tmp_path / "send_email.yaml").read_text().splitlines()[problem.line - 1]
    assert line.strip().startswith("subject:")


def test_what_somebody_else_has_registered_under_the_subject_is_for_the_registry_to_judge() -> None:
    class Strict(MemoryRegistry):
        def takes(self, subject: str, text: str) -> bool:
            return self.latest(subject) is None

    registry = Strict()
    registry.register("agent_messages-word.said", '"string"')
    [problem] = problems(registry, [agent("ann", contract(["a"], a=TEXT))])
    assert "word.said has changed in a way that the registry refuses" in problem.message
