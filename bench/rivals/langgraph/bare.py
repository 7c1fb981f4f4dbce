"""LangGraph alone: no broker, no durability; load and measurement in the same process as the graph.

Each line on stdin is a load: messages are made when they are due, whatever the graph does. When it is over, `file`
holds `[number, time, agent]` of each message that came out.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

import uvloop
from asking import Asker
from sut import graph

from bench.messages import payload


async def main():
    """Measure one load after the other until stdin ends."""
    config = json.loads(sys.argv[1])
    asker = Asker(config)
    compiled = graph(asker, config["hops"]).compile()
    loop = asyncio.get_running_loop()
    print("ready", flush=True)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        plan = json.loads(line)
        seen = await offered(compiled, plan, config["concurrency"])
        file = Path(plan["file"])
        # Whoever waits for the file must not find half of it.
        file.with_suffix(".part").write_text(json.dumps(seen))
        file.with_suffix(".part").rename(file)
    await asker.close()


async def offered(compiled, plan, concurrency):
    """Offer a load; what came out of it by `drain_s` seconds after its end."""
    free, seen, running = asyncio.Semaphore(concurrency), [], set()

    async def work(number):
        async with free:
            thread = {"configurable": {"thread_id": str(number)}}
            done = await compiled.ainvoke({"value": payload(plan["run"], number), "agent": ""}, thread)
            seen.append((number, time.time(), done["agent"]))

    for number in range(plan["count"]):
        due = plan["begin"] + (number / plan["rate"] if plan["rate"] else 0)
        # Also when it is late: what is under way must get its turn.
        await asyncio.sleep(max(0.0, due - time.time()))
        running.add(asyncio.create_task(work(number)))
    _, left = await asyncio.wait(running, timeout=plan["drain_s"])
    for task in left:
        task.cancel()
    return seen


if __name__ == "__main__":
    uvloop.run(main())
