"""Account history: what we know of a company from before. A task of `account_research`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.sdr.facts import account_facts
from agents.sdr.indexes import Indexes
from pointsman.envelope import Envelope
from pointsman.runtime import AgentContext, Reply


def build(context: AgentContext) -> AccountHistory:
    """The agent, as its definition declares it."""
    return AccountHistory(context=context, indexes=Indexes(context.store, {"profiles": ["email_domain"]}))


@dataclass(frozen=True, kw_only=True)
class AccountHistory:
    """Answers `account.history_requested` with `account.history_read`."""

    context: AgentContext
    indexes: Indexes

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        """Look the company up.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        await self.indexes.ensure()
        facts = await account_facts(self.context.store, message.payload["domain"], message.workflow_id)
        return [Reply(event_type="account.history_read", payload={"facts": facts})]
