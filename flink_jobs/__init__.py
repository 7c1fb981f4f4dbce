"""What runs inside Flink: job modules hold wiring only."""
