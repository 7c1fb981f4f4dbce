"""Gives the principals of a secure stack their logins and rights; nothing happens in a stack where nobody logs in."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from pointsman.deployment import Acl, agent_users
from pointsman.kafka.users import KafkaUsers
from pointsman.local.addresses import Addresses
from pointsman.local.database import give_database_rights


def ensure_logins(addresses: Addresses, principals: Collection[str]) -> None:
    """Make the files with which `principals` log in."""
    if addresses.logins:
        addresses.logins.ensure(principals, addresses.mongodb_uri)


def give_kafka_rights(addresses: Addresses, users: Mapping[str, Sequence[Acl]]) -> None:
    """Have Kafka know `users`, and let each do what its rules say and nothing else.

    Raises:
        BrokerUnavailableError: Kafka does not answer.
    """
    if addresses.logins:
        passwords = {name: addresses.logins.password(name) for name in users}
        KafkaUsers(*addresses.kafka_admin).ensure(users, passwords)


def admit_agents(addresses: Addresses, agents: Collection[str]) -> None:
    """Make each of `agents` a principal of its own, on Kafka and MongoDB.

    Raises:
        BrokerUnavailableError: Kafka does not answer.
        StoreUnavailableError: MongoDB does not answer.
    """
    users = agent_users(agents)
    ensure_logins(addresses, users)
    give_kafka_rights(addresses, users)
    if addresses.logins:
        give_database_rights(addresses.ports["mongod"], addresses.logins, users)
