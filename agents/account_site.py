"""Account site: what a company's own site says of it. A task of `account_research`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pydantic import Field

from agents.sdr.declared import DeclaredSettings, declared
from agents.sdr.facts import page_facts
from pointsman.envelope import Envelope
from pointsman.errors import TransientError
from pointsman.fetch import FetchError, SafeFetcher
from pointsman.plaintext import without_addresses
from pointsman.runtime import AgentContext, Reply

_MAY_PASS: Final = ("status 5", "time-out", "no connection")


class SiteSettings(DeclaredSettings):
    """What `account_site.yaml` sets."""

    timeout_s: float = Field(default=5, gt=0, le=30)
    max_bytes: int = Field(default=2_000_000, ge=1, le=20_000_000)
    also_allow: list[str] = Field(default_factory=list)


def build(context: AgentContext) -> AccountSite:
    """The agent, as its definition declares it."""
    settings = declared(SiteSettings, context.definition)
    return AccountSite(
        fetcher=SafeFetcher(
            timeout_s=settings.timeout_s, max_bytes=settings.max_bytes, also_allow=tuple(settings.also_allow)
        )
    )


@dataclass(frozen=True, kw_only=True)
class AccountSite:
    """Answers `account.site_requested` with `account.site_read`."""

    fetcher: SafeFetcher

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        """Read the site.

        Raises:
            TransientError: it does not answer now.
        """
        try:
            facts = await page_facts(self.fetcher, message.payload["website"])
        except FetchError as error:
            if error.why.startswith(_MAY_PASS):
                raise TransientError(f"the site does not answer: {error.why}") from None
            facts = []  # there is no page to be had: nothing is known from it
        said = [{"fact": without_addresses(fact["fact"]), "source": fact["source"]} for fact in facts]
        return [Reply(event_type="account.site_read", payload={"facts": said})]
