"""Pointsman's own programs in the stack: mailbox, offline model, page, agents."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from pointsman.deployment import CONSOLE, METRICS, SWEEPER, agent_user
from pointsman.local.addresses import Addresses
from pointsman.local.console_keys import ensure_local_keys
from pointsman.local.options import StackOptions
from pointsman.local.ports import answers
from pointsman.local.programs import (
    CONSOLE_SECRETS,
    ENCRYPTION_SECRETS,
    MAIL_SECRETS,
    MODEL_SECRETS,
    REGISTRY_SECRETS,
    Program,
)
from pointsman.local.rest import request
from pointsman.unsubscribe import PATH as UNSUBSCRIBE_PATH

_SWEEP_EVERY: Final = "5m"


@dataclass(frozen=True, kw_only=True)
class Service:
    """One or more Python programs.

    Attributes:
        programs: what supervisord runs.
        health: whether they do their work now.
        preparation: what must be there before they start.
    """

    programs: tuple[Program, ...]
    health: Callable[[], bool]
    preparation: Callable[[], object] = lambda: None

    def prepare(self) -> None:
        self.preparation()

    def is_ready(self) -> bool:
        return self.health()


def smtp_sink(ports: Mapping[str, int]) -> Service:
    """The local mailbox."""
    port = ports["smtp"]
    command = _python("pointsman.local.smtp_sink", "--port", str(port), "--mailbox", "mailbox")
    return Service(programs=(Program(name="smtp", command=command, ports=(port,)),), health=lambda: answers(port))


def offline_model(ports: Mapping[str, int], options: StackOptions) -> Service:
    """The deterministic stand-in for a language model."""
    port = ports["model"]
    latency = ("--latency-ms", str(options.model_latency_ms))
    command = _python("pointsman.models.offline", "--port", str(port), *latency)
    program = Program(name="model", command=command, ports=(port,))
    return Service(programs=(program,), health=lambda: _is_healthy(port))


def console(ports: Mapping[str, int], addresses: Addresses) -> Service:
    """The console, with keys for whoever may read the data folder."""
    port = ports["console"]
    command = _python("pointsman.console", "--port", str(port))
    environment = {**addresses.environment(CONSOLE), **addresses.metrics_environment("console")}
    may_see = REGISTRY_SECRETS | CONSOLE_SECRETS | ENCRYPTION_SECRETS
    program = Program(
        name="console", command=command, environment=environment, ports=(port,), may_see=may_see, tells=True
    )
    keys = partial(ensure_local_keys, addresses.data_dir)
    return Service(programs=(program,), health=lambda: _is_healthy(port), preparation=keys)


def system_metrics(addresses: Addresses) -> Service:
    """What shows the system's figures to Prometheus; nothing waits for it."""
    environment = {**addresses.environment(METRICS), **addresses.metrics_environment("metrics")}
    program = Program(
        name="metrics", command=_python("pointsman.telemetry"), environment=environment, may_see=REGISTRY_SECRETS
    )
    return Service(programs=(program,), health=lambda: True)


def sweeper(addresses: Addresses) -> Service:
    """Sends on what the connector has missed; nothing waits for it."""
    command = _python("pointsman", "leads", "sweep", "--every", _SWEEP_EVERY)
    # Kafka's client has new threads for each sweep; glibc would keep an arena of memory for each of them.
    environment = {**addresses.environment(SWEEPER), "MALLOC_ARENA_MAX": "2"}
    program = Program(name="sweeper", command=command, environment=environment)
    return Service(programs=(program,), health=lambda: True)


def agents(
    names: Iterable[str], addresses: Addresses, options: StackOptions, versions: Iterable[tuple[str, str]] = ()
) -> Service:
    """One process per agent; they find their work when they are ready, so nothing is asked of them here.

    Args:
        names: the agents.
        addresses: where everything is.
        options: the stack's options.
        versions: agents that also run in another version, on an inbox of its own.
    """
    environment = {**_model(addresses, options), **_mail(addresses, options)}
    model, mail = (MODEL_SECRETS, options.own_model), (MAIL_SECRETS, options.own_mail)
    may_see = (REGISTRY_SECRETS | ENCRYPTION_SECRETS).union(*(secrets for secrets, is_own in (model, mail) if is_own))
    programs = tuple(
        Program(
            name=agent_program(name, version),
            command=_python("agents", name, "--instance", "1", *(("--version", version) if version else ())),
            environment={
                **addresses.environment(agent_user(name)),
                **environment,
                **addresses.metrics_environment(agent_program(name, version)),
            },
            may_see=may_see,
            tells=True,
        )
        for name, version in (*((name, None) for name in names), *versions)
    )
    return Service(programs=programs, health=lambda: True)


def agents_among(programs: Iterable[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """The agents whose programs are among `programs`, and those that also run in another version, with it."""
    prefix = agent_program("")
    found = [name.removeprefix(prefix).partition("-v") for name in programs if name.startswith(prefix)]
    return [name for name, _, version in found if not version], [(name, v) for name, _, v in found if v]


def agent_program(agent: str, version: str | None = None) -> str:
    """Name of the program that runs the agent called `agent`, or one version of it beside the others."""
    return f"agent-{agent}-v{version}" if version else f"agent-{agent}"


def _python(module: str, *arguments: str) -> tuple[str, ...]:
    # -P: the working folder is the data folder, which must not shadow a module.
    return (sys.executable, "-P", "-m", module, *arguments)


def _model(addresses: Addresses, options: StackOptions) -> dict[str, str]:
    return {} if options.own_model else {"OPENAI_BASE_URL": addresses.model_url}


def _mail(addresses: Addresses, options: StackOptions) -> dict[str, str]:
    """Mail to everybody goes to the sink and nowhere else; an SMTP server of the user's keeps the user's allow-list."""
    day = {} if options.nurture_day_s is None else {"POINTSMAN_NURTURE_DAY_S": str(options.nurture_day_s)}
    if options.own_mail:
        return day
    return {
        **day,
        "POINTSMAN_MAIL_UNSUBSCRIBE_BASE_URL": f"http://{addresses.host}:{addresses.ports['console']}{UNSUBSCRIBE_PATH}",
        "POINTSMAN_SMTP_HOST": addresses.host,
        "POINTSMAN_SMTP_PORT": str(addresses.ports["smtp"]),
        "POINTSMAN_SMTP_SECURITY": "none",
        "POINTSMAN_MAIL_ALLOW": '["*"]',
    }


def _is_healthy(port: int) -> bool:
    status, _ = request(port, "GET", "/healthz")
    return status == 200
