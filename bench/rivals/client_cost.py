"""How much processor time a client of the model spends per call, in a process that does nothing else.

    python client_cost.py '{"client": "aiohttp", "url": "http://127.0.0.1:9000/l0/v1", ...}'

Imports nothing of the harness: litellm runs it in an environment of its own. Prints one JSON line.
"""

import asyncio
import json
import resource
import sys
import time
from urllib.parse import urlsplit

SCHEMA = {
    "type": "object", "required": ["agent", "reason"], "additionalProperties": False,
    "properties": {"agent": {"type": "string", "enum": ["billing", "delivery", "none"]}, "reason": {"type": "string"}},
}  # fmt: skip
SYSTEM = "You route one message to the agent that should act on it. " * 40
FORMAT = {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA, "strict": True}}


def turns(number):
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f'{{"id": "bench-c0-{number}"}}'}]


def aiohttp_client(plan):
    import aiohttp

    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=plan["in_flight"]))

    async def ask(number):
        body = json.dumps({"model": "m", "messages": turns(number), "response_format": FORMAT, "temperature": 0})
        async with session.post(plan["url"] + "/chat/completions", data=body) as response:
            answer = json.loads(await response.read())
        return json.loads(answer["choices"][0]["message"]["content"])["agent"]

    return ask, session.close


def openai_client(plan, http_client=None):
    import openai

    # The SDK's own limit would be 1000 connections.
    client = openai.AsyncOpenAI(api_key="x", base_url=plan["url"], max_retries=0, timeout=120, http_client=http_client)

    async def ask(number):
        answer = await client.chat.completions.create(
            model="m", messages=turns(number), response_format=FORMAT, temperature=0
        )
        return json.loads(answer.choices[0].message.content)["agent"]

    return ask, client.close


def openai_aiohttp_client(plan):
    import openai

    return openai_client(plan, openai.DefaultAioHttpClient(timeout=120))


def litellm_client(plan):
    import litellm

    async def ask(number):
        answer = await litellm.acompletion(
            model="openai/m", api_key="x", api_base=plan["url"], messages=turns(number), response_format=FORMAT
        )
        return json.loads(answer.choices[0].message.content)["agent"]

    async def close():
        return None

    return ask, close


def pointsman_client(plan):
    from pointsman.models.access import AccessOptions
    from pointsman.models.openai_chat import OpenAIChatModel, OpenAIOptions
    from pointsman.models.port import ChatRequest

    access = AccessOptions(concurrency=plan["in_flight"])
    model = OpenAIChatModel("x", OpenAIOptions(model="m", base_url=plan["url"], timeout_s=120, access=access))

    async def ask(number):
        user = turns(number)[1]["content"]
        answer = await model.complete(ChatRequest(system=SYSTEM, user=user, schema=SCHEMA, schema_name="answer"))
        return answer.content["agent"]

    return ask, model.close


class Connection(asyncio.Protocol):
    """Frames requests and answers, and nothing more."""

    def connection_made(self, transport):
        self._transport, self._received, self._answer = transport, b"", None

    def ask(self, request):
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._answer

    def data_received(self, data):
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if found and len(body) == int(head.lower().partition(b"content-length:")[2].split()[0]):
            self._received = b""
            self._answer.set_result(body)

    def close(self):
        self._transport.close()


def bare_sockets_client(plan):
    where = urlsplit(plan["url"])
    start = f"POST {where.path}/chat/completions HTTP/1.1\r\nhost: {where.netloc}\r\ncontent-length: "
    body = json.dumps({"model": "m", "messages": turns(0), "response_format": FORMAT, "temperature": 0})
    request = f"{start}{len(body)}\r\n\r\n{body}".encode()
    free, opened = [], []

    async def connection():
        if free:
            return free.pop()
        loop = asyncio.get_running_loop()
        _, made = await loop.create_connection(Connection, where.hostname, where.port)
        opened.append(made)
        return made

    async def ask(_):
        chosen = await connection()
        await chosen.ask(request)
        free.append(chosen)

    async def close():
        for one in opened:
            one.close()

    return ask, close


CLIENTS = {
    "Pointsman": pointsman_client,
    "bare sockets": bare_sockets_client,
    "aiohttp": aiohttp_client,
    "openai": openai_client,
    "openai, aiohttp transport": openai_aiohttp_client,
    "litellm": litellm_client,
}


async def main():
    plan = json.loads(sys.argv[1])
    ask, close = CLIENTS[plan["client"]](plan)
    free, took, failed = asyncio.Semaphore(plan["in_flight"]), [], []

    async def one(number):
        async with free:
            began = time.perf_counter()
            try:
                await ask(number)
            except Exception as error:
                failed.append(type(error).__name__)
            took.append(time.perf_counter() - began)

    await asyncio.gather(*(one(number) for number in range(plan["in_flight"])))  # connections
    took.clear()
    used, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(plan["count"])))
    lasted, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    await close()
    cpu = after.ru_utime - used.ru_utime + after.ru_stime - used.ru_stime
    took.sort()
    figures = {"cpu_us": cpu / plan["count"] * 1e6, "calls_per_s": plan["count"] / lasted, "lost": len(failed)}
    print(json.dumps({**figures, "p99_ms": took[int(len(took) * 0.99) - 1] * 1000, "errors": sorted(set(failed))}))


if __name__ == "__main__":
    asyncio.run(main())
