"""quixstreams: `apply` with a blocking call. It has no asynchronous operator, so a process asks one at a time.

As many processes as the topic has partitions, which is all that its consumer group can use. At least once.
"""

import json
import multiprocessing
import sys
import urllib.request
from pathlib import Path

config = json.loads(sys.argv[1])


def ask(body):
    request = urllib.request.Request(
        config["model_url"] + "/chat/completions", data=body, headers={"content-type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as response:  # nosec B310
        answer = json.load(response)
    return json.loads(answer["choices"][0]["message"]["content"])["agent"]


def main():
    from quixstreams import Application

    prompt = json.loads(Path(config["prompt"]).read_text())
    schema = {"type": "json_schema", "json_schema": {"name": "answer", "schema": prompt["schema"], "strict": True}}

    def route(value):
        user = json.dumps({"event_type": "ticket.opened", "payload": json.loads(value)})
        turns = [{"role": "system", "content": prompt["system"]}, {"role": "user", "content": user}]
        asked = {"model": "gpt-4o-mini", "messages": turns, "response_format": schema, "temperature": 0}
        return b'{"agent": "' + ask(json.dumps(asked).encode()).encode() + b'", ' + value[1:]

    app = Application(
        broker_address=config["bootstrap"],
        consumer_group=config["group"],
        auto_offset_reset="earliest",
        commit_interval=1.0,
        loglevel="WARNING",
        producer_extra_config={"linger.ms": 0},
        auto_create_topics=False,
    )
    source = app.topic(config["in_topic"], value_deserializer="bytes", key_deserializer="bytes")
    sink = app.topic(config["out_topic"], value_serializer="bytes", key_serializer="bytes")
    app.dataframe(source).apply(route).to_topic(sink)
    print("ready", flush=True)
    app.run()


if __name__ == "__main__":
    others = [multiprocessing.Process(target=main, daemon=True) for _ in range(3)]
    for other in others:
        other.start()
    main()
