"""`pointsman agents`: data on stdout, problems on stderr, nothing applied when anything is wrong."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner, Result

from pointsman.avro.subjects import register
from pointsman.cli import agents
from pointsman.cli.watching import Changes, follow
from pointsman.definitions.loader import load_folder
from pointsman.definitions.schema import schema_text
from pointsman.errors import BrokerUnavailableError, ConfigurationError
from pointsman.publish import CatalogTopic
from tests.definitions import GOOD, MemoryCatalogTopic
from tests.memory_registry import MemoryRegistry


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> MemoryCatalogTopic:
    memory = MemoryCatalogTopic()

    def catalog_topic() -> CatalogTopic:
        return memory

    monkeypatch.setattr(agents, "catalog_topic", catalog_topic)
    return memory


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "a folder"
    folder.mkdir()
    (folder / "greeter.yaml").write_text(GOOD)
    return folder


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(agents.app, [str(word) for word in words])


def change(folder: Path, old: str, new: str) -> None:
    text = (folder / "greeter.yaml").read_text()
    assert old in text
    (folder / "greeter.yaml").write_text(text.replace(old, new, 1))


def test_validate_counts_what_is_valid(folder: Path) -> None:
    result = run("validate", folder)
    assert result.exit_code == 0
    assert result.stdout == "1 agent definitions are valid\n"
    assert result.stderr == ""


def test_validate_tells_every_problem_on_stderr_and_exits_3(folder: Path) -> None:
    change(folder, "version: 1.0.0", "verson: 1.0.0")
    change(folder, "terminal: true", "terminal: yes")
    result = run("validate", folder)
    assert result.exit_code == 3
    assert result.stdout == ""
    assert "greeter.yaml:2:1: error: unknown key verson: did you mean version?" in result.stderr
    assert "greeter.yaml:9:15: error: " in result.stderr
    assert "2 errors: nothing is applied" in result.stderr


def test_a_contract_that_cannot_follow_what_is_registered_is_refused_with_its_place(
    topic: MemoryCatalogTopic, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = MemoryRegistry()
    monkeypatch.setattr(agents, "process_registry", lambda: registry)
    register(registry, load_folder(folder).definitions)
    assert run("validate", folder).exit_code == 0
    change(folder, "text: {type: string}", "text: {type: integer}")
    for command in ("validate", "apply"):
        result = run(command, folder)
        assert result.exit_code == 3
        assert "greeter.yaml:13:9: error: field text of greeting.written was string and is long now" in result.stderr
        assert "1 errors: nothing is applied" in result.stderr
    assert topic.records == []


def test_the_card_of_an_agent_in_force_is_printed(topic: MemoryCatalogTopic, folder: Path) -> None:
    run("apply", folder)
    card = json.loads(run("card", "greeter").stdout)
    assert (card["name"], card["skills"][0]["id"]) == ("greeter", "hello.said")
    with pytest.raises(ConfigurationError, match="no agent greter: did you mean greeter"):
        CliRunner().invoke(agents.app, ["card", "greter"], catch_exceptions=False)


def test_apply_says_what_changed_and_what_was_made(topic: MemoryCatalogTopic, folder: Path) -> None:
    first = run("apply", folder)
    assert first.exit_code == 0, first.output
    assert "+ greeter 1.0.0" in first.stdout
    assert "made agent_audit, agent_catalogs, agent_definitions, agents.greeter.inbox" in first.stdout
    change(folder, "Greets people who say hello.", "Greets everybody.")
    second = run("apply", folder)
    assert "~ greeter 1.0.0 (same version)" in second.stdout
    assert "description: Greets people who say hello. → Greets everybody." in second.stdout
    assert topic.load().sequence == 2
    assert "no changes" in run("apply", folder).stdout


def test_apply_applies_nothing_when_one_file_is_wrong(topic: MemoryCatalogTopic, folder: Path) -> None:
    (folder / "other.yaml").write_text("name: [")
    result = run("apply", folder)
    assert result.exit_code == 3
    assert "other.yaml:1:8: error: not YAML" in result.stderr
    assert topic.log == []


def test_a_dry_run_and_a_diff_write_nothing(topic: MemoryCatalogTopic, folder: Path) -> None:
    for words in (("apply", "--dry-run"), ("diff",)):
        result = run(*words, folder)
        assert result.exit_code == 0
        assert "+ greeter 1.0.0" in result.stdout
    assert set(topic.log) == {"load"}


def test_a_diff_for_programs_names_each_field_that_changes(topic: MemoryCatalogTopic, folder: Path) -> None:
    added = json.loads(run("diff", folder, "-o", "json").stdout)
    run("apply", folder)
    change(folder, "version: 1.0.0", "version: 1.1.0")
    changed = YAML(typ="safe").load(run("diff", folder, "-o", "yaml").stdout)

    assert added["added"] == [{"name": "greeter", "version": "1.0.0"}]
    assert changed["changed"][0]["fields"] == [{"field": "version", "before": "1.0.0", "after": "1.1.0"}]
    assert (changed["before"]["sequence"], changed["after"]["sequence"]) == (1, 2)


def test_agents_missing_from_the_folder_stay_and_are_named(topic: MemoryCatalogTopic, folder: Path) -> None:
    (folder / "other.yaml").write_text(
        GOOD.replace("greeter", "other").replace("people who say hello", "nobody at all")
    )
    run("apply", folder)
    (folder / "other.yaml").unlink()
    assert "other stays, although the folder does not hold it" in run("apply", folder).stdout
    assert "- other 1.0.0" in run("diff", "--prune", folder).stdout
    assert "- other 1.0.0" in run("apply", "--prune", folder).stdout
    assert set(topic.load().definitions) == {"greeter"}


def test_remove_says_what_is_gone(topic: MemoryCatalogTopic, folder: Path) -> None:
    run("apply", folder)
    result = run("remove", "greeter")
    assert result.exit_code == 0
    assert "- greeter 1.0.0" in result.stdout
    assert topic.load().definitions == {}


def test_ls_and_show_speak_table_json_and_yaml(topic: MemoryCatalogTopic, folder: Path) -> None:
    run("apply", folder)
    assert "greeter" in run("ls").stdout
    assert json.loads(run("ls", "-o", "json").stdout)["agents"][0]["accepts"] == ["hello.said"]
    assert YAML(typ="safe").load(run("ls", "-o", "yaml").stdout)["sequence"] == 1
    assert YAML(typ="safe").load(run("show", "greeter").stdout)["name"] == "greeter"
    assert json.loads(run("show", "greeter", "-o", "json").stdout)["version"] == "1.0.0"
    assert "Greets people" in run("show", "greeter", "-o", "table").stdout


def test_what_show_prints_is_a_valid_file(topic: MemoryCatalogTopic, folder: Path) -> None:
    change(folder, "name: greeter", "instructions: |\n  You are {{ agent }}.\n  Be kind.\nname: greeter")
    run("apply", folder)
    (folder / "greeter.yaml").write_text(run("show", "greeter").stdout)
    assert "no changes" in run("diff", folder).stdout


def test_show_of_an_unknown_agent_names_the_nearest(topic: MemoryCatalogTopic, folder: Path) -> None:
    run("apply", folder)
    result = run("show", "greter")
    assert isinstance(result.exception, ConfigurationError)
    assert "did you mean greeter?" in str(result.exception)


def test_ls_without_a_catalog_says_what_to_do(topic: MemoryCatalogTopic) -> None:
    assert "pointsman agents apply" in run("ls").stderr
    assert topic.records == []


def test_schema_prints_what_is_committed() -> None:
    assert run("schema").stdout == schema_text()


def test_watching_keeps_the_last_good_catalog_and_follows_the_mend(topic: MemoryCatalogTopic, folder: Path) -> None:
    def changes() -> Iterator[set[tuple[object, str]]]:
        change(folder, "version: 1.0.0", "version: one")
        yield {(object(), "greeter.yaml")}
        assert topic.load().sequence == 1
        change(folder, "version: one", "version: 1.1.0")
        yield {(object(), "greeter.yaml")}
        yield set()

    applied: list[bool] = []

    def apply() -> bool:
        applied.append(run("apply", folder).exit_code == 0)
        return applied[-1]

    follow(folder, apply, changes())  # type: ignore[arg-type]
    assert applied == [True, False, True]
    assert topic.load().definitions["greeter"].version == "1.1.0"


def test_watching_tries_again_when_the_broker_was_away(folder: Path) -> None:
    answers: Iterator[BrokerUnavailableError | bool] = iter([BrokerUnavailableError("Kafka is away"), True])

    def apply() -> bool:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    nothing_changed: Changes = [set(), set()]
    follow(folder, apply, nothing_changed)
    assert next(answers, None) is None


def test_watching_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="is no folder"):
        follow(tmp_path / "nowhere", lambda: True, [])
