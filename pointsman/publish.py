"""Moves the catalog on Kafka from one set of definitions to the next.

The set in force is read inside the transaction that replaces it. Whoever publishes takes the transactional id over, so
of two people who apply at the same time one is refused and neither overwrites what it has not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

from pointsman.avro.codec import process_registry
from pointsman.avro.subjects import register
from pointsman.catalog import Catalog, CatalogDiff, diff
from pointsman.catalog_history import Author, audit_records, kept_record
from pointsman.definitions.checks import contradictions
from pointsman.definitions.model import AgentDefinition
from pointsman.definitions.words import did_you_mean
from pointsman.envelope import Record
from pointsman.errors import ConfigurationError, InvalidDefinitionsError
from pointsman.kafka import KafkaAdmin, KafkaLogin, load_catalog, publish
from pointsman.kafka.clients import FencedError
from pointsman.topics import ALL, AUDIT, CATALOGS, DEFINITIONS, Topic, inbox_topic

TRANSACTIONAL_ID: Final = "pointsman.catalog"


class CatalogTopic(Protocol):
    """Where the catalog lives."""

    def load(self) -> Catalog:
        """The catalog in force; the empty one before the first apply."""
        ...

    def ensure_topics(self, topics: Iterable[Topic]) -> list[str]:
        """Make the topics that are missing; their names."""
        ...

    def register(self, definitions: Iterable[AgentDefinition]) -> None:
        """Register the Avro schemas of `definitions`, where there is a schema registry.

        Raises:
            InvalidDefinitionsError: a contract cannot follow what is registered.
            RegistryUnavailableError: the registry does not answer.
        """
        ...

    def publish(self, records: Iterable[Record]) -> None:
        """Write all or none; `records` is begun only when nobody else can publish any more."""
        ...


class KafkaCatalogTopic:
    """The catalog on a Kafka cluster.

    Args:
        bootstrap: `host:port`, several separated by commas.
        login: who moves it; None logs in as the settings say.
    """

    def __init__(self, bootstrap: str, login: KafkaLogin | None = None) -> None:
        self._bootstrap = bootstrap
        self._login = login

    def load(self) -> Catalog:
        return load_catalog(self._bootstrap, self._login)

    def ensure_topics(self, topics: Iterable[Topic]) -> list[str]:
        return KafkaAdmin(self._bootstrap, self._login).ensure_topics(topics)

    def register(self, definitions: Iterable[AgentDefinition]) -> None:
        registry = process_registry()
        if registry is not None:
            register(registry, definitions)

    def publish(self, records: Iterable[Record]) -> None:
        try:
            publish(self._bootstrap, records, TRANSACTIONAL_ID, self._login)
        except FencedError as error:
            what = "somebody else changed the catalog at the same time, and nothing of yours was applied"
            raise ConfigurationError(what, "look at `pointsman agents diff` and apply again") from error


@dataclass(frozen=True, kw_only=True)
class Move:
    """A step from one catalog to the next.

    Attributes:
        before: the catalog that was in force.
        after: the catalog that is in force now; `before` itself when nothing changed.
        kept: agents in force that the folder does not hold, and that stay.
        topics_made: names of the inboxes that did not exist.
    """

    before: Catalog
    after: Catalog
    kept: tuple[str, ...] = ()
    topics_made: tuple[str, ...] = ()

    @cached_property
    def changes(self) -> CatalogDiff:
        """What the step adds, changes and removes."""
        return diff(self.before, self.after)


def planned(before: Catalog, definitions: Sequence[AgentDefinition], *, prune: bool = False) -> Move:
    """The step that an apply of `definitions` would make.

    Args:
        before: the catalog in force.
        definitions: what the folder holds.
        prune: remove agents that the folder does not hold.
    """
    named = {definition.name for definition in definitions}
    others = [] if prune else [other for name, other in before.definitions.items() if name not in named]
    after = Catalog.of([*definitions, *others], before.sequence + 1)
    kept = tuple(other.name for other in others)
    return Move(before=before, after=after if diff(before, after) else before, kept=kept)


def apply(
    topic: CatalogTopic,
    definitions: Sequence[AgentDefinition],
    *,
    prune: bool = False,
    author: Author | None = None,
) -> Move:
    """Put `definitions` in force; inboxes exist before anything can be routed to them.

    Args:
        topic: where the catalog lives.
        definitions: what the folder holds.
        prune: remove agents that the folder does not hold.
        author: who does it, for the audit; None leaves no audit record.

    Raises:
        InvalidDefinitionsError: together with agents that stay in force they contradict each other, or a contract
            cannot follow the schema that is registered.
        RegistryUnavailableError: the schema registry does not answer; nothing was changed.
        ConfigurationError: somebody else applied at the same time, or is not allowed to.
        BrokerUnavailableError: Kafka does not answer; nothing was changed.
    """
    made = topic.ensure_topics([*_own_topics(), *(inbox_topic(one.name) for one in definitions)])
    move = _publish(topic, lambda before: planned(before, definitions, prune=prune), author)
    return Move(before=move.before, after=move.after, kept=move.kept, topics_made=tuple(made))


def remove(topic: CatalogTopic, name: str, author: Author | None = None) -> Move:
    """Take the agent `name` out of the catalog; its inbox stays, so that what is queued is worked off.

    Args:
        topic: where the catalog lives.
        name: the agent.
        author: who does it, for the audit; None leaves no audit record.

    Raises:
        ConfigurationError: there is no such agent, or another agent names it as its next one.
        BrokerUnavailableError: Kafka does not answer; nothing was changed.
    """
    topic.ensure_topics(_own_topics())
    return _publish(topic, lambda before: planned_removal(before, name), author)


def planned_removal(before: Catalog, name: str) -> Move:
    """The step that removing the agent `name` would make.

    Raises:
        ConfigurationError: there is no such agent.
    """
    if name not in before.definitions:
        hint = did_you_mean(name, before.definitions) or ": `pointsman agents ls` names them"
        raise ConfigurationError(f"the catalog has no agent {name[:80]}{hint}")
    return planned(before, [one for one in before.definitions.values() if one.name != name], prune=True)


def _publish(topic: CatalogTopic, plan: Callable[[Catalog], Move], author: Author | None) -> Move:
    moves: list[Move] = []

    def records() -> Iterator[Record]:
        move = plan(topic.load())
        errors = contradictions([*move.after.definitions.values()])
        if errors:
            raise InvalidDefinitionsError(errors)
        # Before anybody can write by the new contracts. A schema that no catalog follows does no harm.
        topic.register(move.after.definitions.values())
        moves.append(move)
        if move.changes:
            yield from move.after.records(move.before)
            # The one before too: it may be from a time when none was kept.
            yield from (kept_record(catalog) for catalog in (move.before, move.after) if catalog.definitions)
            yield from audit_records(move.before, move.after, author) if author else ()

    topic.publish(records())
    return moves[0]


def _own_topics() -> list[Topic]:
    return [topic for topic in ALL if topic.name in {DEFINITIONS, CATALOGS, AUDIT}]
