"""What `pointsman --help` lists, and what that costs."""

from __future__ import annotations

import subprocess
import sys

import pytest
from typer.core import TyperGroup

from pointsman.cli.commands import ENTRIES, Deferred, Entry


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_the_list_says_of_each_command_what_it_says_of_itself(entry: Entry) -> None:
    command = Deferred(entry).command
    assert (command.help or "").split("\n\n")[0] == entry.help


def test_a_command_of_its_own_is_no_noun() -> None:
    nouns = {entry.name for entry in ENTRIES if isinstance(Deferred(entry).command, TyperGroup)}
    assert "agents" in nouns
    assert "doctor" not in nouns


def test_the_list_of_commands_imports_no_command() -> None:
    told = "import sys; from typer.testing import CliRunner; from pointsman.cli.main import app; " \
        "assert 'workflows' in CliRunner().invoke(app, ['--help']).stdout; " \
        "print(*sorted({'confluent_kafka', 'pymongo', 'aiohttp', 'fastapi'} & sys.modules.keys()))"  # fmt: skip
    seen = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True)
    assert seen.stdout.split() == []
