"""The embedded stack: broker, MongoDB, Connect, Flink, SMTP sink, offline model."""
