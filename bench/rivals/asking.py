"""What every rival does alike: the prompt that the router would send, the call by aiohttp, the record to write.

Imports nothing of Pointsman: it runs in the rivals' own environments and inside Flink's workers.
"""

import asyncio
import json
from pathlib import Path

import aiohttp


class Asker:
    """Asks the model which agent gets a message.

    Args:
        config: what the harness told this program: `prompt` (file), `model_url`, `concurrency`.
    """

    def __init__(self, config):
        prompt = json.loads(Path(config["prompt"]).read_text())
        self._system = prompt["system"]
        self._format = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "schema": prompt["schema"], "strict": True},
        }
        self._url = config["model_url"] + "/chat/completions"
        self._concurrency = config["concurrency"]
        self._timeout_s = config["timeout_s"]
        self._session = None

    def body(self, value):
        """The request about one message, as bytes."""
        user = json.dumps({"event_type": "ticket.opened", "payload": json.loads(value)})
        turns = [{"role": "system", "content": self._system}, {"role": "user", "content": user}]
        return json.dumps(
            {"model": "gpt-4o-mini", "messages": turns, "response_format": self._format, "temperature": 0}
        ).encode()

    async def agent(self, value):
        """The agent that the model names; a failing call is tried again up to four times, then it is nobody."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._concurrency)
            headers = {"content-type": "application/json", "authorization": "Bearer x"}
            timeout = aiohttp.ClientTimeout(total=self._timeout_s)
            self._session = aiohttp.ClientSession(connector=connector, headers=headers, timeout=timeout)
        body = self.body(value)
        for _ in range(5):
            try:
                async with self._session.post(self._url, data=body) as response:
                    if response.status == 200:
                        answer = json.loads(await response.read())
                        return json.loads(answer["choices"][0]["message"]["content"])["agent"]
                    wait_s = float(response.headers.get("retry-after", 0.2))
            except (TimeoutError, aiohttp.ClientError, ValueError):
                wait_s = 0.2
            await asyncio.sleep(wait_s)
        return "nobody"

    async def close(self):
        """Give connections back."""
        if self._session is not None:
            await self._session.close()


def routed(value, agent):
    """The record to write: the message with the agent's name."""
    return b'{"agent": "' + agent.encode() + b'", ' + value[1:]
