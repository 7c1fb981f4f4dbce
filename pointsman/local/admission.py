"""New agents of a catalog become principals of the secure stack that runs here."""

from __future__ import annotations

from collections.abc import Collection

from pointsman.local.choices import options_from_settings
from pointsman.local.granting import admit_agents
from pointsman.local.stack import LocalStack


def admit_to_local_stack(bootstrap: str, agents: Collection[str]) -> bool:
    """Give `agents` logins and rights where the broker at `bootstrap` is that of the local stack, and asks for them.

    Args:
        bootstrap: where the catalog was put in force.
        agents: the agents that it names.

    Returns:
        Whether it is such a stack.

    Raises:
        BrokerUnavailableError: Kafka does not answer.
        StoreUnavailableError: MongoDB does not answer.
    """
    addresses = LocalStack(options_from_settings()).addresses
    if addresses.logins is None or addresses.kafka_bootstrap != bootstrap:
        return False
    admit_agents(addresses, agents)
    return True
