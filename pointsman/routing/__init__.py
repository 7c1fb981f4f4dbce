"""Message and catalog in, decision out. No Flink, no Kafka, no client."""

from pointsman.routing.decision import Candidate, Decision, Method, ModelCall, Outcome
from pointsman.routing.limits import Counters
from pointsman.routing.question import ModelQuestion
from pointsman.routing.router import Router, RoutingOptions

__all__ = [
    "Candidate",
    "Counters",
    "Decision",
    "Method",
    "ModelCall",
    "ModelQuestion",
    "Outcome",
    "Router",
    "RoutingOptions",
]
