"""An agent gone wrong: answers one message with a thousand.

python -m tests.chaos.flooding NAME
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pointsman.envelope import Envelope
from pointsman.runtime import Agent, AgentContext, Reply
from pointsman.runtime.process import run_agent
from pointsman.settings import settings

ANSWERS = 1000


class Flooding:
    """Says everything a thousand times."""

    async def handle(self, message: Envelope) -> Sequence[Reply]:
        return [Reply(event_type="flood.risen", payload={"number": number}) for number in range(ANSWERS)]


def build(context: AgentContext) -> Agent:
    return Flooding()


if __name__ == "__main__":
    run_agent(sys.argv[1], settings(), build)
