"""Runs one agent: consume, decide, answer, each message's effects in Kafka exactly once.

`agent` is what an agent's module sees; nothing else here is the module's business.
"""

from pointsman.runtime.agent import Agent, AgentContext, Reply, Scheduled

__all__ = ["Agent", "AgentContext", "Reply", "Scheduled"]
