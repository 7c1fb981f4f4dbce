"""What each process counts for Prometheus: every metric's name, labels and buckets, in one place.

Labels come from closed sets only (agents of the catalog, codes, models of the settings): never an id, key or address.
Names with `gen_ai` and `messaging` in them are the conventions' metrics of the same name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

PREFIX: Final = "pointsman"
_CALL_BUCKETS: Final = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKEN_BUCKETS: Final = tuple(4.0**power for power in range(14))
_PROCESS_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 60.0)
_ROUTING_BUCKETS: Final = (0.0005, 0.001, 0.0025, *_PROCESS_BUCKETS)


@dataclass(frozen=True, kw_only=True)
class ModelCalled:
    """A model call that has ended.

    Attributes:
        model: the model that was asked for.
        seconds: from the question to its answer or failure, retries included.
        is_left_alone: whether the model is left alone now, because it does not answer.
        error_type: name of the error; empty when there is an answer.
        attempts: calls made for the answer; 0 when there is none, and so the other figures.
        input_tokens: tokens of the question.
        output_tokens: tokens of the answer.
        cost_usd: price of the answer in US dollars; None when it is not known.
    """

    model: str
    seconds: float
    is_left_alone: bool
    error_type: str = ""
    attempts: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None


class Metrics:
    """The metrics of one process; those without a sample take no room.

    Args:
        registry: where they are kept; a fresh one by default.

    Attributes:
        registry: what the process's endpoint shows.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.model_duration = self._histogram(
            "gen_ai_client_operation_duration_seconds",
            "Time from a question to its answer or failure, retries included.",
            ("model", "error_type"),
            _CALL_BUCKETS,
        )
        self.model_tokens = self._histogram(
            "gen_ai_client_token_usage", "Tokens of a question or an answer.", ("model", "type"), _TOKEN_BUCKETS
        )
        self.model_attempts = self._counter("model_attempts", "Calls made to answer questions.", ("model",))
        self.model_cost = self._counter("model_cost_usd", "Price of answers, where it is known.", ("model",))
        self.model_unpriced = self._counter("model_unpriced", "Answers whose price is not known.", ("model",))
        self.breaker_open = self._gauge(
            "model_breaker_open", "1 while the model is left alone because it does not answer.", ("model",)
        )
        self.retries = self._counter("retries", "Tries that followed a failure.", ("error_type",))
        self.processed = self._histogram(
            "messaging_process_duration_seconds",
            "Time an agent worked on a message.",
            ("agent", "error_type"),
            _PROCESS_BUCKETS,
        )
        self.in_flight = self._gauge("agent_in_flight", "Messages that the agent works on now.", ("agent",))
        self.replies = self._counter("agent_replies", "Messages that the agent answered with.", ("agent", "event_type"))
        self.dead_letters = self._counter("agent_dead_letters", "Messages given up by an agent.", ("agent", "reason"))
        self.effects = self._counter("effects", "Outside effects that were tried.", ("agent", "state"))
        self.decisions = self._counter(
            "decisions", "Messages that the router decided on.", ("outcome", "method", "agent", "reason_code")
        )
        self.weighed = self._counter(
            "choices_weighed", "Choices that the chat model was to be sure of, by whether anybody knows.", ("known",)
        )
        self.routing = self._histogram(
            "routing_duration_seconds",
            "Time from a message's arrival at the router to its decision's leaving.",
            ("method",),
            _ROUTING_BUCKETS,
        )
        self.waiting = self._gauge("router_waiting", "Messages at the router whose decision has not left.", ())
        self.shadow_decisions = self._counter(
            "shadow_decisions", "Decisions of a rollout's candidate that nobody acted on.", ("agrees",)
        )
        self.shadow_skipped = self._counter("shadow_skipped", "Messages that a busy candidate did not look at.", ())
        self.router_faults = self._counter("router_faults", "Defects met while routing.", ("error_type",))

    def model_called(self, called: ModelCalled) -> None:
        """Count a model call."""
        model = called.model
        self.model_duration.labels(model, called.error_type).observe(called.seconds)
        self.breaker_open.labels(model).set(called.is_left_alone)
        if called.error_type:
            return
        self.model_attempts.labels(model).inc(called.attempts)
        self.model_tokens.labels(model, "input").observe(called.input_tokens)
        self.model_tokens.labels(model, "output").observe(called.output_tokens)
        if called.cost_usd is None:
            self.model_unpriced.labels(model).inc()
        else:
            self.model_cost.labels(model).inc(called.cost_usd)

    def retried(self, error_type: str) -> None:
        """Count a try that followed a failure of this name."""
        self.retries.labels(error_type).inc()

    def _counter(self, name: str, text: str, labels: tuple[str, ...]) -> Counter:
        return Counter(f"{PREFIX}_{name}", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, labels: tuple[str, ...]) -> Gauge:
        return Gauge(f"{PREFIX}_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, labels: tuple[str, ...], buckets: tuple[float, ...]) -> Histogram:
        return Histogram(f"{PREFIX}_{name}", text, labels, buckets=buckets, registry=self.registry)
