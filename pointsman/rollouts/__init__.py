"""Rollouts: another catalog, model or prompt decides beside the one in force, on a copy or on a part of the traffic.

`model` is the record that says so, `file` reads it from YAML, `arms` makes the routers of both sides, `counting` and
`watching` see how the candidate does, `acts` moves a rollout from stage to stage. No Flink, and Kafka in `topic` only.
"""
