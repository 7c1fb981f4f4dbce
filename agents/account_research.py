"""Account research: splits a question about a company into parallel tasks, and joins what they found into a profile.

An example of an agent that plans (docs/agents.md); its definitions are in `examples/account-research/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agents.sdr.facts import Fact
from pointsman.envelope import PLAN_PROPOSED, Envelope, Payload
from pointsman.runtime import AgentContext, Reply

MAX_FACTS: Final = 30
_JOINED: Final = "account.findings_joined"


def build(context: AgentContext) -> AccountResearch:
    """The agent, as its definition declares it."""
    return AccountResearch(context=context)


@dataclass(frozen=True, kw_only=True)
class AccountResearch:
    """Answers `account.research_requested` with a plan, and the plan's join with `account.profiled`."""

    context: AgentContext

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        """Plan, or write the profile.

        Raises:
            StoreUnavailableError: the store did not answer.
        """
        if message.event_type != _JOINED:
            return [Reply(event_type=PLAN_PROPOSED, payload=plan(message.payload))]
        profile = joined(message.payload)
        account = {"_id": profile["domain"], "profile": profile, "profiled_at": self.context.now()}
        await self.context.store.put("accounts", account)
        return [Reply(event_type="account.profiled", payload=profile)]


def plan(asked: Payload) -> Payload:
    """Three tasks side by side. Without the history there is no profile; site and news are welcome."""
    company = {"company": asked["company"], "domain": asked["domain"]}
    website = asked.get("website") or asked["domain"]
    return {
        "tasks": [
            _task("site", "account.site_requested", {**company, "website": website}, optional=True, attempts=3),
            _task("history", "account.history_requested", company),
            _task("news", "account.news_requested", company, optional=True),
        ],
        "join": {"event_type": _JOINED, "payload": company},
    }


def joined(findings: Payload) -> Payload:
    """The profile: all facts, and which of the tasks came to nothing."""
    results: Mapping[str, Mapping[str, Any]] = findings["results"]
    facts: list[Fact] = [fact for result in results.values() for fact in result.get("facts", [])]
    return {
        "company": findings["company"],
        "domain": findings["domain"],
        "facts": facts[:MAX_FACTS],
        "missing": [task for task, result in results.items() if "failed" in result],
    }


def _task(task_id: str, event_type: str, payload: Payload, **more: Any) -> dict[str, Any]:
    return {"id": task_id, "event_type": event_type, "payload": payload, **more}
