"""faust-streaming: an agent with `concurrency` on a topic, acknowledged when an event is done (at least once).

`default` is what `faust.App` does by itself, but that a death is noticed after six seconds and that as many messages
may wait as calls be in flight; `tuned` has uvloop, no linger in its producer and commits each second; `exactly-once` is
`tuned` with faust's `exactly_once`, committing as often as Flink makes checkpoints. Its transactions hold what goes to
topics that the same program reads: a producer for each partition read, chosen by the consumer's metadata
(`Consumer.key_partition`). Answers go to another topic, which that does not know, and so outside of any transaction.
"""

import json
import os
import sys

config = json.loads(sys.argv.pop(1))
if config["form"] != "default":
    os.environ["FAUST_LOOP"] = "uvloop"  # it looks when it is imported

import faust  # noqa: E402 - it reads the command line when it is imported
from asking import Asker, routed  # noqa: E402

tuning = {} if config["form"] == "default" else {"producer_linger": 0, "broker_commit_interval": 1.0}
if config["form"] == "exactly-once":
    tuning |= {"processing_guarantee": "exactly_once", "broker_commit_interval": config["checkpoint_ms"] / 1000}
app = faust.App(
    config["group"],
    broker="kafka://" + config["bootstrap"],
    value_serializer="raw",
    consumer_auto_offset_reset="earliest",
    topic_disable_leader=True,
    web_enabled=False,
    datadir=config["folder"] + "/" + config["group"],
    stream_buffer_maxsize=4 * config["concurrency"],
    broker_session_timeout=6.0,
    broker_heartbeat_interval=0.5,
    broker_max_poll_records=1000,
    **tuning,
)
source = app.topic(config["in_topic"], value_type=bytes, value_serializer="raw", key_serializer="raw")
sink = app.topic(config["out_topic"], value_type=bytes, value_serializer="raw", key_serializer="raw")
asker = Asker(config)


@app.agent(source, concurrency=config["concurrency"])
async def route(stream):
    async for event in stream.events():
        agent = await asker.agent(event.value)
        await sink.send(key=event.key, value=routed(event.value, agent))


@app.on_rebalance_complete.connect
async def say_ready(*_, **__):
    print("ready", flush=True)


if __name__ == "__main__":
    sys.argv[1:] = ["worker", "--without-web", "-l", "warn"]
    app.main()
