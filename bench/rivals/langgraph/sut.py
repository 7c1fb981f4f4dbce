"""LangGraph: a graph with one routing node per hop, behind two Kafka hops. In memory: what runs when it dies is lost.

`sqlite` keeps a checkpoint per step in a file, which is its durable form. Offsets are committed when a message is read.
"""

import asyncio
import json
import sys
import threading
from typing import TypedDict

import uvloop
from asking import Asker, routed
from confluent_kafka import Consumer, Producer
from langgraph.graph import END, START, StateGraph


class State(TypedDict):
    """What the graph carries."""

    value: bytes
    agent: str


def graph(asker, hops):
    """`hops` nodes in a row, each of which asks the model."""

    async def route(state):
        return {"agent": await asker.agent(state["value"])}

    builder = StateGraph(State)
    names = [f"hop{number}" for number in range(hops)]
    for name in names:
        builder.add_node(name, route)
    for before, after in zip([START, *names], [*names, END], strict=True):
        builder.add_edge(before, after)
    return builder


async def main():
    """Route until the process is ended."""
    config = json.loads(sys.argv[1])
    asker = Asker(config)
    if config["form"] == "sqlite":
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        async with AsyncSqliteSaver.from_conn_string(config["folder"] + "/graph.sqlite") as saver:
            await serve(graph(asker, config["hops"]).compile(checkpointer=saver), config)
    else:
        await serve(graph(asker, config["hops"]).compile(), config)


async def serve(compiled, config):
    """Read, run the graph, write."""
    producer = Producer({"bootstrap.servers": config["bootstrap"], "acks": 1, "linger.ms": 0})
    consumer = Consumer(
        {"bootstrap.servers": config["bootstrap"], "group.id": config["group"], "auto.offset.reset": "earliest",
         "session.timeout.ms": 6000, "heartbeat.interval.ms": 500}
    )  # fmt: skip
    consumer.subscribe([config["in_topic"]], on_assign=lambda *_: print("ready", flush=True))
    loop, running = asyncio.get_running_loop(), set()
    free = threading.Semaphore(config["concurrency"])

    async def work(record):
        try:
            thread = {"configurable": {"thread_id": record.key().decode()}}
            done = await compiled.ainvoke({"value": record.value(), "agent": ""}, thread)
            value = routed(record.value().replace(b'"hop": 0', b'"hop": %d' % (config["hops"] - 1)), done["agent"])
            producer.produce(config["out_topic"], key=record.key(), value=value)
            producer.poll(0)
        finally:
            free.release()

    def begin(record):
        task = loop.create_task(work(record))
        running.add(task)
        task.add_done_callback(running.discard)

    def read():
        while True:
            record = consumer.poll(0.2)
            if record is not None and record.error() is None:
                free.acquire()
                loop.call_soon_threadsafe(begin, record)

    threading.Thread(target=read, daemon=True).start()
    while True:
        await asyncio.sleep(0.5)
        producer.poll(0)


if __name__ == "__main__":
    uvloop.run(main())
