"""What commands there are. Each one's module is imported when it is called: all of them take more than a second."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_group


@dataclass(frozen=True)
class Entry:
    """A line of `pointsman --help`.

    Attributes:
        name: of a noun with commands of its own, or of one command.
        module: in `pointsman.cli`: a noun's has an `app`, that of one command a `register`.
        help: what it is for; of one command, the first paragraph of its docstring.
    """

    name: str
    module: str
    help: str


ENTRIES: Final = (
    Entry("up", "stack", "Start the local stack, or what is missing of it, and leave it running."),
    Entry(
        "status", "stack", "Every process: state, pid, port, memory, uptime, restarts; exit 4 when one does not run."
    ),
    Entry("down", "stack", "Stop everything; state stays in the data folder."),
    Entry("logs", "stack", "Show a program's log."),
    Entry(
        "demo",
        "demo",
        "Show the whole loop: leads in, decisions with their reasons, mails out. Stops everything at the end.",
    ),
    Entry(
        "trace",
        "trace",
        "Tell the way of one workflow over MongoDB, Kafka, Flink, model and mail: what came in, who got it and why.",
    ),
    Entry(
        "route",
        "route",
        "Tell who would get a message and why: the candidates, and what the model would be asked. Sends nothing.",
    ),
    Entry(
        "replay",
        "replay",
        "Decide again what was decided; nothing is written. --frozen exits 1 when a decision comes out otherwise.",
    ),
    Entry(
        "costs",
        "costs",
        "What models cost: by day and agent, and what that was for each mail that was sent. Days are UTC.",
    ),
    Entry(
        "capacity",
        "capacity",
        "Say what so many leads a day need: partitions, slots, agents, model quota, storage, cost.",
    ),
    Entry(
        "doctor",
        "doctor",
        "Look at Kafka, registry, Connect, MongoDB, Flink, model and mail, say each fix; exit 1 if wrong, 4 if down.",
    ),
    Entry("agents", "agents", "The agent definitions: validate, apply, list."),
    Entry("archive", "archive", "Records as files: start and stop the job that writes them, list."),
    Entry("case", "case", "Workflows as regression tests: save, run without Kafka."),
    Entry("console", "console", "Who may log in to the console: accounts, the link of a local stack."),
    Entry("decisions", "decisions", "The decision log: list, show, export."),
    Entry("dlq", "dlq", "Dead letters: look, send again, mend, set aside."),
    Entry("effects", "effects", "Mails and other effects: stop and start all, list, decide."),
    Entry("eval", "evaluation", "How well messages are routed: measure it, collect examples."),
    Entry("job", "job", "The router job on the Flink cluster."),
    Entry("keys", "keys", "Encryption of values: make a key, change to another."),
    Entry("knowledge", "knowledge", "The team's documents that agents cite: add, search, measure."),
    Entry("leads", "leads", "Leads in MongoDB."),
    # The module of its last command, which imports those of the others.
    Entry("local-model", "local_model_proposal", "The local model: train, judge, look at it, propose one."),
    Entry("logins", "logins", "Logins of processes on Kafka and MongoDB: give passwords and rights."),
    Entry("mail", "mail", "Mails that came back."),
    Entry("messages", "messages", "Messages on Kafka."),
    Entry("retention", "retention", "How long each tier keeps what; delete what is older."),
    Entry("rollout", "rollout", "Try a catalog, model or prompt beside the one in force."),
    Entry("topics", "topics", "Topics on Kafka: make what is missing."),
    Entry("workflows", "workflows", "Where each workflow stands; cancel, resume or retry one."),
)


class Deferred(TyperCommand):
    """Stands for a command in lists, and becomes it when it is called.

    Args:
        entry: its line.
    """

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry.name, help=entry.help)
        self._entry = entry

    @cached_property
    def command(self) -> TyperCommand | TyperGroup:
        """The command itself."""
        module = import_module(f"pointsman.cli.{self._entry.module}")
        around = typer.Typer()
        if hasattr(module, "app"):
            around.add_typer(module.app, name=self._entry.name, help=self._entry.help)
        else:
            module.register(around)
        found: TyperCommand | TyperGroup = get_group(around).commands[self._entry.name]  # type: ignore[assignment]
        return found

    def make_context(self, *args: Any, **more: Any) -> typer.Context:
        """What a call of the command itself begins with."""
        made: typer.Context = self.command.make_context(*args, **more)  # type: ignore[assignment]
        return made


class Commands(TyperGroup):
    """All commands, none of them imported."""

    def __init__(self, **told: Any) -> None:
        super().__init__(**told)
        for entry in ENTRIES:
            self.add_command(Deferred(entry))
