"""PyFlink's `AsyncDataStream.unordered_wait` between a Kafka source and a Kafka sink.

`default` keeps Flink's own bundle size and time (1000, 1000 ms) and buffer time-out (100 ms); `tuned` is what was
found to be fastest: bundles of 10 ms, buffers of 2 ms, no time-out in Flink (a thread per record) but in the call.
`exactly_once` has the sink write in transactions, which is Flink's own pipeline for that.
"""

import json
import sys

from asking import Asker, routed
from pyflink.common import Configuration, SimpleStringSchema, Time, Types, WatermarkStrategy
from pyflink.datastream import AsyncDataStream, AsyncFunction, StreamExecutionEnvironment
from pyflink.datastream.connectors.base import DeliveryGuarantee
from pyflink.datastream.connectors.kafka import (
    KafkaOffsetsInitializer,
    KafkaRecordSerializationSchema,
    KafkaSink,
    KafkaSource,
)


class Route(AsyncFunction):
    """Asks the model."""

    def __init__(self, config):
        self._config = config
        self._asker = None

    def open(self, runtime_context):
        self._asker = Asker(self._config)

    async def async_invoke(self, value):
        octets = value.encode()
        return [routed(octets, await self._asker.agent(octets)).decode()]


def main():
    """Build the job and hand it to the cluster."""
    config = json.loads(sys.argv[1])
    tuned = config["form"] == "tuned"
    settings = Configuration()
    for name, value in {
        "pipeline.name": config["name"],
        "python.execution-mode": "process",
        "python.fn-execution.bundle.size": "1000",
        "python.fn-execution.bundle.time": "10" if tuned else "1000",
        "execution.buffer-timeout.interval": "2 ms" if tuned else "100 ms",
        "execution.checkpointing.interval": f"{config['checkpoint_ms']} ms",
        "restart-strategy.type": "fixed-delay",
        "restart-strategy.fixed-delay.attempts": "1000",
        "restart-strategy.fixed-delay.delay": "200 ms",
    }.items():
        settings.set_string(name, value)
    env = StreamExecutionEnvironment.get_execution_environment(settings)
    env.set_parallelism(1)
    source = (
        KafkaSource.builder()
        .set_bootstrap_servers(config["bootstrap"])
        .set_topics(config["in_topic"])
        .set_group_id(config["group"])
        .set_starting_offsets(KafkaOffsetsInitializer.earliest())
        .set_value_only_deserializer(SimpleStringSchema())
        .build()
    )
    exactly_once = config.get("exactly_once", False)
    sink = (
        KafkaSink.builder()
        .set_bootstrap_servers(config["bootstrap"])
        .set_delivery_guarantee(DeliveryGuarantee.EXACTLY_ONCE if exactly_once else DeliveryGuarantee.AT_LEAST_ONCE)
        .set_transactional_id_prefix(config["name"])
        # Flink's own hour is more than a broker allows.
        .set_property("transaction.timeout.ms", "600000")
        .set_property("linger.ms", "0")
        .set_record_serializer(
            KafkaRecordSerializationSchema.builder()
            .set_topic(config["out_topic"])
            .set_value_serialization_schema(SimpleStringSchema())
            .build()
        )
        .build()
    )
    read = env.from_source(source, WatermarkStrategy.no_watermarks(), "messages")
    timeout = Time.milliseconds(0) if tuned else Time.seconds(60)
    asked = AsyncDataStream.unordered_wait(read, Route(config), timeout, config["concurrency"], Types.STRING())
    asked.sink_to(sink)
    env.execute(config["name"])


if __name__ == "__main__":
    main()
