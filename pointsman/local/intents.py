"""What `up` and `down` would do, without doing it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from pointsman.definitions.loader import load_folder_or_raise
from pointsman.local.addresses import Addresses
from pointsman.local.layout import Layout
from pointsman.local.options import StackOptions
from pointsman.local.parts import fixed_parts, port_of, programs_of
from pointsman.local.services import agent_program, agents_among
from pointsman.local.supervision import ProgramState


@dataclass(frozen=True, kw_only=True)
class Intent:
    """What would become of one program.

    Attributes:
        name: the program, or `router job`.
        action: `start`, `stop`, `leave` where it runs already, or `rescale`.
        port: where it listens or would listen, or None.
    """

    name: str
    action: str
    port: int | None


def to_start(
    layout: Layout, addresses: Addresses, options: StackOptions, states: Collection[ProgramState]
) -> list[Intent]:
    """What `up` would start; what it would stop or move because another parallelism is wanted."""
    # Only the names count here, and the way to java is not among them.
    fixed = [program.name for program in programs_of(fixed_parts(layout, Path("java"), addresses, options))]
    running = {state.name for state in states if state.pid}
    wanted = [*fixed, *(agent_program(name) for name in _agents(options, running))]
    kept = [_intent(name, "leave" if name in running else "start", addresses) for name in wanted]
    stopped = [_intent(name, "stop", addresses) for name in sorted(running.difference(wanted))]
    moves = bool(running) and options.as_running(layout.options_file).parallelism != options.parallelism
    return kept + stopped + ([_intent("router job", "rescale", addresses)] if moves else [])


def to_stop(states: Iterable[ProgramState], addresses: Addresses) -> list[Intent]:
    """What `down` would stop."""
    return [_intent(state.name, "stop", addresses) for state in states if state.pid]


def _agents(options: StackOptions, running: Collection[str]) -> list[str]:
    """The agents that the caller named, else those of the folder, beside which the catalog's run."""
    if options.agents is not None:
        return list(options.agents)
    folder = options.definitions_dir
    declared = [each.name for each in load_folder_or_raise(folder).definitions] if folder else []
    # Once there is a catalog it says who runs, and the broker that keeps it may be down.
    return agents_among(sorted(running))[0] or declared


def _intent(name: str, action: str, addresses: Addresses) -> Intent:
    return Intent(name=name, action=action, port=port_of(name, addresses.ports))
