"""One supervised program of the stack, and how it is written on a command line."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

MARK: Final = "POINTSMAN_STACK"
"""Environment variable that every process of a stack carries: the absolute path of its data folder."""

MODEL_SECRETS: Final = frozenset({"OPENAI_API_KEY", "POINTSMAN_MODEL_FALLBACK_API_KEY"})
MAIL_SECRETS: Final = frozenset({"POINTSMAN_SMTP_USERNAME", "POINTSMAN_SMTP_PASSWORD"})
TRACES_SECRETS: Final = frozenset({"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"})
REGISTRY_SECRETS: Final = frozenset({"POINTSMAN_SCHEMA_REGISTRY_USERNAME", "POINTSMAN_SCHEMA_REGISTRY_PASSWORD"})
CONSOLE_SECRETS: Final = frozenset(
    {"POINTSMAN_CONSOLE_ACCOUNTS", "POINTSMAN_CONSOLE_SESSION_SECRET", "POINTSMAN_CONSOLE_OIDC_CLIENT_SECRET"}
)
ENCRYPTION_SECRETS: Final = frozenset({"POINTSMAN_ENCRYPTION_KEYS"})
LOGIN_SECRETS: Final = frozenset(
    {"MONGODB_URI", "POINTSMAN_KAFKA_SASL_USERNAME", "POINTSMAN_KAFKA_SASL_PASSWORD", "POINTSMAN_LOGIN_DIR"}
)
"""A login of the user's to another cluster; a program of the stack is told its own."""
_SECRETS: Final = (
    MODEL_SECRETS
    | MAIL_SECRETS
    | TRACES_SECRETS
    | REGISTRY_SECRETS
    | CONSOLE_SECRETS
    | ENCRYPTION_SECRETS
    | LOGIN_SECRETS
)


@dataclass(frozen=True, kw_only=True)
class Program:
    """A process that supervisord keeps running.

    Attributes:
        name: name in `pointsman status` and of the log file.
        command: program and arguments; the working folder is the data folder.
        environment: variables on top of those that `pointsman up` was called with.
        ports: ports it listens on, the main one first.
        may_see: secrets of the environment that it has a use for; the others are taken away from it.
        tells: whether it writes traces, and so has a use for the key of their receiver.
        stop_wait_s: seconds between SIGTERM and SIGKILL.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    may_see: frozenset[str] = frozenset()
    tells: bool = False
    stop_wait_s: int = 12

    @property
    def command_line(self) -> str:
        """The command as supervisord's configuration wants it.

        The variables go through `env`, so that one way of quoting serves all and secrets can be taken away.
        """
        known = self.may_see | (TRACES_SECRETS if self.tells else frozenset())
        hidden = [part for name in sorted(_SECRETS - known) for part in ("-u", name)]
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        return " ".join(quote(part) for part in ("env", *hidden, *variables, *self.command))


def quote(text: str) -> str:
    """Quote one word for supervisord: a shell word in which `%` is doubled and nothing starts a comment."""
    # The file's parser takes white space and ";" or "#" for a comment, also inside quotes: let a quote stand between.
    word = re.sub(r"(\s)([;#])", r"\1''\2", shlex.quote(text))
    return word.replace("%", "%%")
