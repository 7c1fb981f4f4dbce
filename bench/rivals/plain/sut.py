"""The least that works: a confluent-kafka consumer, an asyncio loop, a producer. At least once, nothing else.

Offsets are committed up to the oldest message that is still being asked about. `client` chooses who speaks HTTP:
`aiohttp`, or `pointsman`, the router's own model adapter, so that both can be compared with the same client.
"""

import asyncio
import heapq
import json
import queue
import sys
import threading
from contextlib import suppress
from pathlib import Path

import uvloop
from asking import Asker, routed
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition


class Offsets:
    """Up to where each partition is done."""

    def __init__(self):
        self._begun = {}
        self._done = {}

    def begin(self, partition, offset):
        heapq.heappush(self._begun.setdefault(partition, []), offset)

    def end(self, partition, offset):
        self._done.setdefault(partition, set()).add(offset)

    def committable(self, topic):
        found = []
        for partition, begun in self._begun.items():
            done, upto = self._done.setdefault(partition, set()), None
            while begun and begun[0] in done:
                upto = heapq.heappop(begun)
                done.discard(upto)
            if upto is not None:
                found.append(TopicPartition(topic, partition, upto + 1))
        return found


class PointsmanClient:
    """The router's own adapter behind the same method as `Asker`."""

    def __init__(self, config):
        from pointsman.errors import PermanentError, TransientError
        from pointsman.models.access import AccessOptions
        from pointsman.models.openai_chat import OpenAIChatModel, OpenAIOptions
        from pointsman.models.port import ChatRequest

        self._transient, self._permanent = TransientError, PermanentError
        prompt = json.loads(Path(config["prompt"]).read_text())
        access = AccessOptions(concurrency=config["concurrency"])
        options = OpenAIOptions(
            model="gpt-4o-mini", base_url=config["model_url"], timeout_s=config["timeout_s"], access=access
        )
        self._model = OpenAIChatModel("not-needed", options)
        self._request = lambda user: ChatRequest(
            system=prompt["system"], user=user, schema=prompt["schema"], schema_name="answer"
        )

    async def agent(self, value):
        user = json.dumps({"event_type": "ticket.opened", "payload": json.loads(value)})
        for _ in range(5):  # as often as `Asker`
            try:
                answer = await self._model.complete(self._request(user))
            except self._transient:
                await asyncio.sleep(0.2)
            except self._permanent:
                break
            else:
                return answer.content["agent"]
        return "nobody"


async def main():
    """Route until the process is ended."""
    config = json.loads(sys.argv[1])
    asker = PointsmanClient(config) if config["client"] == "pointsman" else Asker(config)
    producer = Producer({"bootstrap.servers": config["bootstrap"], "acks": 1, "linger.ms": 0})
    consumer = Consumer(
        {
            "bootstrap.servers": config["bootstrap"], "group.id": config["group"], "auto.offset.reset": "earliest",
            "auto.commit.interval.ms": 1000, "enable.auto.offset.store": False, "isolation.level": "read_committed",
            "session.timeout.ms": 6000, "heartbeat.interval.ms": 500,
        }
    )  # fmt: skip
    consumer.subscribe([config["in_topic"]], on_assign=lambda *_: print("ready", flush=True))
    loop, offsets, running = asyncio.get_running_loop(), Offsets(), set()
    free = threading.Semaphore(config["concurrency"])

    def delivered(record):
        partition, offset = record.partition(), record.offset()
        return lambda error, _: None if error else offsets.end(partition, offset)

    async def work(record):
        try:
            agent = await asker.agent(record.value())
            value = routed(record.value(), agent)
            producer.produce(config["out_topic"], key=record.key(), value=value, on_delivery=delivered(record))
            producer.poll(0)
        finally:
            free.release()

    def begin(record):
        offsets.begin(record.partition(), record.offset())
        task = loop.create_task(work(record))
        running.add(task)
        task.add_done_callback(running.discard)

    to_store = queue.SimpleQueue()

    def read():
        # All calls of the consumer are made here: made from two threads they can wait for each other for ever.
        while True:
            while not to_store.empty():
                with suppress(KafkaException):  # not this reader's any more: whoever has them begins further back
                    consumer.store_offsets(offsets=to_store.get())
            record = consumer.poll(0.2)
            if record is not None and record.error() is None:
                free.acquire()
                loop.call_soon_threadsafe(begin, record)

    threading.Thread(target=read, daemon=True).start()
    while True:
        await asyncio.sleep(0.5)
        producer.poll(0)
        done = offsets.committable(config["in_topic"])
        if done:
            to_store.put(done)


if __name__ == "__main__":
    uvloop.run(main())
