"""Message and catalog in, decision out. No Flink, no Kafka, no client."""
