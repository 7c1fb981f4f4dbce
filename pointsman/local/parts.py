"""What a stack consists of, put together from the caller's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pointsman.local.addresses import Addresses
from pointsman.local.broker import Broker
from pointsman.local.component import Component
from pointsman.local.connect import Connect
from pointsman.local.database import Database
from pointsman.local.flink import Flink
from pointsman.local.layout import Layout
from pointsman.local.options import StackOptions
from pointsman.local.programs import Program
from pointsman.local.services import console, offline_model, smtp_sink, sweeper, system_metrics

LAST_TO_STOP: Final = ("kafka", "mongod", "model", "smtp")
"""Programs that the others need until they have stopped: agents finish what they have begun."""

_PORT_NAMES: Final = {"jobmanager": "flink"}


@dataclass(frozen=True, kw_only=True)
class Part:
    """A component and what must be done before it starts.

    Attributes:
        name: name of the step that starts it.
        component: the component.
        after: steps that must be done before.
    """

    name: str
    component: Component
    after: tuple[str, ...] = ()


def fixed_parts(layout: Layout, java: Path, addresses: Addresses, options: StackOptions) -> list[Part]:
    """All parts but the agents, which the catalog names."""
    ports = addresses.ports
    parts = [
        # The longest way to readiness first: broker, topics, Connect.
        Part(name="kafka", component=Broker(layout, java, ports)),
        Part(name="flink", component=Flink(layout, java, ports, options)),
        Part(name="mongod", component=Database(layout, ports)),
        Part(name="connect", component=Connect(layout, java, ports), after=("topics", "mongod")),
        Part(name="sweeper", component=sweeper(addresses), after=("topics", "mongod")),
        Part(name="console", component=console(ports, addresses), after=("topics",)),
        Part(name="metrics", component=system_metrics(addresses), after=("topics", "mongod")),
    ]
    if not options.own_mail:
        parts.append(Part(name="smtp", component=smtp_sink(ports)))
    if not options.own_model:
        parts.append(Part(name="model", component=offline_model(ports, options)))
    return parts


def programs_of(parts: list[Part]) -> list[Program]:
    """Every program of `parts`."""
    return [program for part in parts for program in part.component.programs]


def port_of(program: str, ports: Mapping[str, int]) -> int | None:
    """Main port of a program by its name, or None when it listens on none."""
    return ports.get(_PORT_NAMES.get(program, program))
