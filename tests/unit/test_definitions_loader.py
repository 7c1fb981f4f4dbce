"""Every mistake in a definition file is told with file, line, column and the nearest valid word."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pointsman.definitions.files import MAX_FILE_BYTES
from pointsman.definitions.loader import load_folder, load_folder_or_raise
from pointsman.errors import InvalidDefinitionsError
from tests.definitions import GOOD


def problems_of(folder: Path, text: str | bytes, name: str = "greeter.yaml") -> list[str]:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return [str(problem).removeprefix(f"{folder}{os.sep}") for problem in load_folder(folder).problems]


def test_a_valid_file_becomes_a_definition(tmp_path: Path) -> None:
    assert problems_of(tmp_path, GOOD) == []
    (definition,) = load_folder_or_raise(tmp_path).definitions
    assert definition.name == "greeter"
    assert definition.emits[0].terminal


@pytest.mark.parametrize("text", [b"\xef\xbb\xbf" + GOOD.encode(), GOOD.replace("\n", "\r\n").encode()])
def test_byte_order_mark_and_windows_line_ends_are_accepted(tmp_path: Path, text: bytes) -> None:
    assert problems_of(tmp_path, text) == []


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("description:", "descripton:", ["3:1: error: unknown key descripton: did you mean description?"]),
        (
            "  - type: hello.said",
            "  - typ: hello.said",
            ["5:5: error: unknown key typ: did you mean type?"],
        ),
        ("version: 1.0.0\n", "", ["1:1: error: version is missing"]),
        ("version: 1.0.0", "version: 1.0", ["2:10: error: version must be three numbers with dots between them"]),
        ("description: Greets people", "description: [1] #", ["3:14: error: description must be a text"]),
        ("description: Greets people who say hello.", "description:", ["3:1: error: description has no value"]),
        ("terminal: true", "terminal: yes", ["9:15: error: emits[0].terminal must be true or false: yes is a text"]),
        ("terminal: true", "terminal: ture", ["9:15: error: emits[0].terminal must be true or false: did you mean"]),
        ("hello.said", "Hello", ["5:11: error: accepts[0].type must be lower-case words with dots"]),
        ("name: greeter", "name: greter", ["1:7: error: name is greter and the file is greeter.yaml"]),
        ("terminal: true", "terminal: true\n    next_agent: greeter", ["10:17: error: a terminal event has"]),
        ("terminal: true", "next_agent: greetr", ["9:17: error: there is no agent greetr: did you mean greeter?"]),
        ("terminal: true", "next_agent: greeter", ["9:17: error: greeter does not accept greeting.written"]),
        ("{type: string}", "{type: strng}", ["13:22: error: strng is no JSON type: did you mean string?"]),
        ("{type: string}", "{typ: string}", ["13:16: error: typ is no word of JSON Schema: did you mean type?"]),
        ("{type: string}", "{minLength: x}", ["13:27: error: the contract is no JSON Schema 2020-12"]),
        ("{type: string}", "{pattern: '('}", ["13:25: error: the contract is no JSON Schema 2020-12"]),
        ("{type: string}", "{$ref: 'https://a.example/b'}", ["13:22: error: a contract is self-contained"]),
        ("{type: string}", "{$ref: '#/$defs/x'}", ["13:22: error: there is no x under $defs"]),
        ("{type: string}", "{$ref: '#/properties/txt'}", ["error: the contract is no JSON Schema 2020-12: Pointer"]),
        ("contract: {type: object}", "contract: {type: string}", ["6:22: error: a payload is always an object"]),
        ("contract: {type: object}", "contract: nothing", ["6:15: error: accepts[0].contract must be a mapping"]),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(tmp_path: Path, old: str, new: str, expected: list[str]) -> None:
    assert old in GOOD
    told = [line for line in problems_of(tmp_path, GOOD.replace(old, new, 1)) if "error" in line]
    assert len(told) == len(expected), told
    for line, part in zip(told, expected, strict=True):
        assert part in line


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ("name: other\n", "14:1: error: name stands twice; first in line 1"),
        ("\tlimits: {}\n", "14:1: error: a tab cannot indent YAML"),
        ("settings: &all {a: 1}\nmodel: *all\n", "15:8: error: aliases (*name) are not used here"),
        ("settings: {a: !!python/object/apply:os.system [ls]}\n", "14:15: error: tags (!name) are not used here"),
        ("settings: {1: one}\n", "14:12: error: the key 1 must be a text"),
        ("settings: {? [a] : one}\n", "14:14: error: a key must be a text"),
        ("settings: {a: .inf}\n", "14:15: error: infinity and NaN are no JSON numbers"),
        ("settings: {a: 1e999}\n", "14:15: error: the number is too large"),
        (f"settings: {{a: {'9' * 40}}}\n", "14:15: error: the number does not fit into 64 bits"),
        ('settings: {a: "\\ud800"}\n', "14:15: error: an escape stands for half a character"),
        ('settings: {a: "\\U99999999"}\n', "14:16: error: the file holds an escape that is no character"),
        ("settings: {a: \x00}\n", "14:15: error: the character U+0000 is not allowed"),
        ("---\nname: second\n", "14:1: error: a second document starts here"),
        ("settings: [\n", "15:1: error: not YAML"),
        (f"settings: {'[' * 5000}\n", "error: nested deeper than 64 levels"),
        ("limits: {in_flight: -1}\n", "14:21: error: limits.in_flight should be greater than or equal to 1"),
        ("limits: {atempts: 3}\n", "14:10: error: unknown key atempts: did you mean attempts?"),
        ("model: {temperature: '0.1'}\n", "14:22: error: model.temperature must be a number"),
        ("emit: []\n", "14:1: error: unknown key emit: emits stands here already"),
        ("colour: red\n", "14:1: error: unknown key colour: there are name, version"),
        ("instructions: |\n  Hi {{ agnt }}.\n", "15:9: error: the variable agnt is not defined: did you mean agent"),
        ("instructions: |\n  Hello\n  {{ lead.name }}\n", "16:6: error: the variable lead is not defined: there"),
        ("instructions: Hello {{ agent\n", "14:15: error: not a Jinja2 template"),
        ("instructions: |\n  a\n  {{ agent | shout }}\n", "16:3: error: not a Jinja2 template: No filter named"),
        ("instructions: |\n  {% include 'other' %}\n", "15:3: error: a template cannot load another one"),
        (f"instructions: '{{{{ {'(' * 3000} }}}}'\n", "14:15: error: not a Jinja2 template: nested too deeply"),
    ],
)  # fmt: skip
def test_broken_yaml_and_wrong_values_are_refused(tmp_path: Path, extra: str, expected: str) -> None:
    (told,) = problems_of(tmp_path, GOOD + extra)
    assert expected in told


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", "greeter.yaml: error: the file is empty"),
        (b"# nothing yet\n", "greeter.yaml: error: the file is empty"),
        (b"- a\n", "greeter.yaml:1:1: error: a definition is a mapping of name, version"),
        (b"%YAML 1.1\n---\nname: a\n", "greeter.yaml:1:1: error: directives such as %YAML are not used"),
        (GOOD.encode("utf-16"), "greeter.yaml:1:1: error: is not UTF-8"),
        ("name: greeter\nversion: é".encode("latin-1"), "greeter.yaml:2:10: error: is not UTF-8"),
        (b"#" * (MAX_FILE_BYTES + 1), "greeter.yaml: error: has 262145 bytes"),
    ],
)
def test_a_file_that_is_no_definition_is_refused(tmp_path: Path, text: bytes, expected: str) -> None:
    (told,) = problems_of(tmp_path, text)
    assert told.startswith(expected)


def test_an_anchor_bomb_costs_nothing(tmp_path: Path) -> None:
    bomb = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))
    told = problems_of(tmp_path, bomb)
    assert len(told) == 51
    assert told[-1].endswith("more problems in this file")


@pytest.mark.parametrize("name", ["A", "..", "a" * 64, "1st", "a-b", "", "@manifest", "a/b"])
def test_a_name_that_is_no_topic_name_is_refused(tmp_path: Path, name: str) -> None:
    told = problems_of(tmp_path, GOOD.replace("name: greeter", f"name: '{name}'"))
    assert any("name must be lower-case letters, digits and underscores" in line for line in told)


def test_all_problems_of_all_files_are_told_at_once_and_in_order(tmp_path: Path) -> None:
    problems_of(tmp_path, GOOD.replace("name: greeter", "name: b").replace("version: 1.0.0", "version: one"), "b.yaml")
    told = problems_of(tmp_path, GOOD.replace("name: greeter", "nam: a"), "a.yaml")
    assert [line.split(" ")[0] for line in told] == ["a.yaml:1:1:", "b.yaml:2:10:"]


def test_two_agents_of_one_name_are_told_with_the_other_file(tmp_path: Path) -> None:
    (tmp_path / "greeter.yaml").write_text(GOOD)
    told = problems_of(tmp_path, GOOD, "second.yaml")
    assert any("two agents are called greeter: the other is in" in line for line in told)


def test_what_editors_leave_behind_is_passed_over(tmp_path: Path) -> None:
    for name in (".greeter.yaml.swp", "greeter.yaml~", "#greeter.yaml#", ".#greeter.yaml", "4913", "agent.schema.json"):
        (tmp_path / name).write_text("\x00 no yaml")
    (tmp_path / ".hidden.yaml").write_text("\x00")
    assert problems_of(tmp_path, GOOD) == []


def test_a_definition_under_another_ending_is_not_lost_silently(tmp_path: Path) -> None:
    (tmp_path / "greeter.yaml").write_text(GOOD)
    assert problems_of(tmp_path, GOOD, "other.yml") == [
        "other.yml: error: a definition's name ends in .yaml: rename it to other.yaml"
    ]


def test_links_may_not_leave_the_folder(tmp_path: Path) -> None:
    folder, outside = tmp_path / "defs", tmp_path / "outside.yaml"
    folder.mkdir()
    outside.write_text(GOOD)
    (folder / "greeter.yaml").symlink_to(outside)
    (told,) = load_folder(folder).problems
    assert "the link leads out of the folder" in told.message


def test_links_inside_the_folder_are_followed_as_kubernetes_mounts_them(tmp_path: Path) -> None:
    (tmp_path / "..data").mkdir()
    (tmp_path / "..data" / "greeter.yaml").write_text(GOOD)
    (tmp_path / "greeter.yaml").symlink_to(Path("..data") / "greeter.yaml")
    assert load_folder(tmp_path).problems == ()


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "gone.yaml").symlink_to(tmp_path / "nowhere.yaml")
    (tmp_path / "loop.yaml").symlink_to(tmp_path / "loop.yaml")
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    told = [problem.message for problem in load_folder(tmp_path).problems]
    assert told[0] == "is not a file"
    assert told[1].startswith("cannot be read")
    assert told[2].startswith("cannot be read")
    assert told[3] == "is not a file"


def test_a_missing_or_empty_folder_is_an_error(tmp_path: Path) -> None:
    assert "cannot be read" in str(load_folder(tmp_path / "nowhere").problems[0])
    with pytest.raises(InvalidDefinitionsError, match="holds no agent definition"):
        load_folder_or_raise(tmp_path)


def test_a_file_name_that_is_no_text_can_still_be_told(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"caf\xe9.yaml")).write_text(GOOD)
    for problem in load_folder(tmp_path).problems:
        str(problem).encode()


@hypothesis_settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
@given(
    cut=st.integers(0, len(GOOD)),
    dropped=st.integers(0, 30),
    put_in=st.text(alphabet="\t\n :-[]{}&*!|>'\"%@`,?#~\x00\u00e9\ud83dab1.", max_size=12),
)
def test_no_damage_to_a_file_makes_the_loader_raise(tmp_path: Path, cut: int, dropped: int, put_in: str) -> None:
    text = GOOD[:cut] + put_in + GOOD[cut + dropped :]
    (tmp_path / "greeter.yaml").write_bytes(text.encode(errors="surrogatepass"))
    for problem in load_folder(tmp_path).problems:
        str(problem).encode()


TOOLS = """\
tools:
  - name: stock
    command: [stock-server, --read-only]
    allow: [look_up_stock]
    environment: [STOCK_KEY]
"""


def test_tool_servers_are_read(tmp_path: Path) -> None:
    assert problems_of(tmp_path, GOOD + TOOLS) == []
    ((server,),) = [definition.tools for definition in load_folder_or_raise(tmp_path).definitions]
    assert (server.command, server.offered()) == (
        ["stock-server", "--read-only"],
        {"stock__look_up_stock": "look_up_stock"},
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("allow:", "alow:", "17:5: error: unknown key alow: did you mean allow?"),
        ("    allow: [look_up_stock]\n", "", "15:5: error: allow is missing"),
        ("[look_up_stock]", "[]", "17:12: error: tools[0].allow List should have at least 1 item"),
        ("look_up_stock", "look up", "17:13: error: tools[0].allow[0] must be a tool's name"),
        ("name: stock", "name: Stock", "15:11: error: tools[0].name must be lower-case letters, digits"),
        ("STOCK_KEY", "STOCK_KEY=1", "18:19: error: tools[0].environment[0] must be a variable's name"),
        ("command: [stock-server, --read-only]", "url: ftp://a", "16:10: error: tools[0].url must be an address"),
        ("command: [stock-server, --read-only]", "url: https://me:pw@a", "16:10: error: tools[0].url must be an addr"),
        ("command: [stock-server, --read-only]", "url: https://a.example/mcp", "15:5: error: environment is for a co"),
        ("    command: [stock-server, --read-only]\n", "", "15:5: error: a tool server has a command or a url"),
        ("[look_up_stock]", "[a.b, a_b]", "15:5: error: allow names two tools that would reach the model under the"),
        (TOOLS, TOOLS + TOOLS.removeprefix("tools:\n"), "15:3: error: two tool servers have the same name"),
    ],
)
def test_a_mistake_in_a_tool_server_is_told_with_its_place(tmp_path: Path, old: str, new: str, expected: str) -> None:
    (problem,) = problems_of(tmp_path, GOOD + TOOLS.replace(old, new))
    assert problem.startswith(f"greeter.yaml:{expected}")
