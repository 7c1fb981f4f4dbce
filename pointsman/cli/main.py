"""Puts the nouns together and turns Pointsman's errors into one line and an exit code.

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 configuration invalid, 4 a dependency is down.
"""

from __future__ import annotations

import sys
from typing import Final

import typer

from pointsman.cli import (
    agent_history,
    agents,
    archive,
    capacity,
    case,
    console,
    costs,
    decisions,
    demo,
    dlq,
    doctor,
    effects,
    evaluation,
    job,
    keys,
    knowledge,
    leads,
    local_model,
    local_model_proposal,
    logins,
    mail,
    messages,
    rebuilding,
    replay,
    retention,
    rollout,
    route,
    stack,
    topics,
    trace,
    workflows,
)
from pointsman.errors import ConfigurationError, PointsmanError, TransientError
from pointsman.logging import configure_logging
from pointsman.settings import wants_no_colour

EXIT_FAILED: Final = 1
EXIT_CONFIGURATION: Final = 3
EXIT_DEPENDENCY: Final = 4

app = typer.Typer(
    name="pointsman",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def begin(context: typer.Context) -> None:
    """Agents that talk through Kafka, and a Flink job that decides who gets each message next."""
    if wants_no_colour():
        context.color = False
    # Data goes to stdout and everything else to stderr; what a command retries is no news to whoever called it.
    configure_logging("error")


app.add_typer(agents.app, name="agents", help="The agent definitions: validate, apply, list.")
app.add_typer(archive.app, name="archive", help="Records as files: start and stop the job that writes them, list.")
app.add_typer(case.app, name="case", help="Workflows as regression tests: save, run without Kafka.")
app.add_typer(console.app, name="console", help="Who may log in to the console: accounts, the link of a local stack.")
app.add_typer(decisions.app, name="decisions", help="The decision log: list, show, export.")
app.add_typer(dlq.app, name="dlq", help="Dead letters: look, send again, mend, set aside.")
app.add_typer(effects.app, name="effects", help="Mails and other effects: stop and start all, list, decide.")
app.add_typer(evaluation.app, name="eval", help="How well messages are routed: measure it, collect examples.")
app.add_typer(job.app, name="job", help="The router job on the Flink cluster.")
app.add_typer(keys.app, name="keys", help="Encryption of values: make a key, change to another.")
app.add_typer(knowledge.app, name="knowledge", help="The team's documents that agents cite: add, search, measure.")
app.add_typer(leads.app, name="leads", help="Leads in MongoDB.")
app.add_typer(local_model.app, name="local-model", help="The local model: train, judge, look at it, propose one.")
app.add_typer(logins.app, name="logins", help="Logins of processes on Kafka and MongoDB: give passwords and rights.")
app.add_typer(mail.app, name="mail", help="Mails that came back.")
app.add_typer(messages.app, name="messages", help="Messages on Kafka.")
app.add_typer(retention.app, name="retention", help="How long each tier keeps what; delete what is older.")
app.add_typer(rollout.app, name="rollout", help="Try a catalog, model or prompt beside the one in force.")
app.add_typer(topics.app, name="topics", help="Topics on Kafka: make what is missing.")
app.add_typer(workflows.app, name="workflows", help="Where each workflow stands; cancel, resume or retry one.")
stack.register(app)
demo.register(app)
trace.register(app)
route.register(app)
replay.register(app)
local_model_proposal.register(local_model.app)
agent_history.register(agents.app)
costs.register(app)
capacity.register(app)
doctor.register(app)
rebuilding.register(workflows.app)


def main() -> None:
    """Run the command; errors become one line on stderr."""
    try:
        app()
    except ConfigurationError as error:
        _fail(error, EXIT_CONFIGURATION)
    except TransientError as error:
        _fail(error, EXIT_DEPENDENCY)
    except PointsmanError as error:
        _fail(error, EXIT_FAILED)


def _fail(error: PointsmanError, code: int) -> None:
    typer.echo(f"pointsman: {error}", err=True)
    sys.exit(code)
