"""Keeps one agent in step with the catalog: a new version takes over between two messages, with no restart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from pointsman.catalog import Catalog, digest
from pointsman.definitions import AgentDefinition
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError
from pointsman.runtime.agent import Agent, Closing
from pointsman.runtime.handling import ActiveAgent

_log = structlog.get_logger(__name__)


class Following:
    """The agent in force.

    Args:
        name: the agent's name.
        build: makes the agent of a definition.
    """

    def __init__(self, name: str, build: Callable[[AgentDefinition], Agent]) -> None:
        self._name = name
        self._build = build
        self._sequence = -1
        self._active: ActiveAgent | None = None
        self._before: ActiveAgent | None = None
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def active(self) -> ActiveAgent | None:
        """The agent in force; None until a catalog names it."""
        return self._active

    def meant_by(self, record: Record) -> ActiveAgent | None:
        """The agent that `record` is for: the one in force, or the one before where a rollout has routed to that one.

        What lies in the inbox while a rollout is promoted belongs to workflows that finish on what they began with.
        """
        if "ce_release" not in record.headers or self._before is None or self._active is None:
            return self._active
        version = record.headers.get("ce_agentversion", b"").decode(errors="replace")
        is_for_before = version == self._before.definition.version != self._active.definition.version
        return self._before if is_for_before else self._active

    def take(self, catalog: Catalog) -> None:
        """Take `catalog` over, unless it is an older one.

        A definition that cannot be built leaves the one before in force; the first one must be right. An agent that
        the catalog no longer names keeps working on what is queued for it.

        Raises:
            ConfigurationError: the first definition of this agent cannot be built.
        """
        if catalog.sequence <= self._sequence:
            return
        self._sequence = catalog.sequence
        definition = catalog.definitions.get(self._name)
        if definition is None:
            self._note_absence(catalog)
            definition = None if self._active else catalog.retired.get(self._name)
        if definition is None:
            return
        try:
            self._activate(definition, catalog)
        except ConfigurationError as error:
            if self._active is None:
                raise
            _log.error("new definition refused, the one before stays in force", problem=str(error))

    async def close(self) -> None:
        """Close the agent in force and those before it."""
        for each in (self._active, self._before):
            if each is not None:
                self._close(each.agent)
        if self._closing:
            await asyncio.wait(self._closing)

    def _close(self, agent: Agent) -> None:
        if isinstance(agent, Closing):
            task = asyncio.get_running_loop().create_task(agent.close())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    def _activate(self, definition: AgentDefinition, catalog: Catalog) -> None:
        before = self._active
        is_same = before is not None and digest(before.definition) == digest(definition)
        agent = before.agent if before and is_same else self._build(definition)
        self._active = ActiveAgent.of(definition, agent, catalog.version)
        if not is_same:
            if self._before is not None:
                self._close(self._before.agent)
            self._before = before or self._earlier(catalog)
            _log.info("definition in force", agent_version=definition.version, catalog=catalog.version)

    def _earlier(self, catalog: Catalog) -> ActiveAgent | None:
        """The definition before the first one that this process knows, as far as the topic still holds it."""
        definition = catalog.earlier.get(self._name)
        try:
            return ActiveAgent.of(definition, self._build(definition), catalog.version) if definition else None
        except ConfigurationError:
            return None

    def _note_absence(self, catalog: Catalog) -> None:
        if self._active is None and self._name not in catalog.retired:
            _log.warning(
                "waiting: the catalog does not name this agent; run `pointsman agents apply`", catalog=catalog.version
            )
        else:
            _log.warning("removed from the catalog; draining what is queued", catalog=catalog.version)
