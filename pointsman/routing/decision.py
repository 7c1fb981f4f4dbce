"""The router's answer to one message, with everything that explains it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pointsman.models.port import Opinion
from pointsman.usage import Budget, Usage, microusd


class Outcome(StrEnum):
    """What happens to the message."""

    ROUTED = "routed"
    COMPLETED = "completed"
    ABSTAINED = "abstained"
    REJECTED = "rejected"
    PLANNED = "planned"
    """A plan took it: it began one, or it is what a plan waited for."""


class Method(StrEnum):
    """How the decision was made."""

    OVERRIDE = "override"
    RULE = "rule"
    SINGLE_CANDIDATE = "single_candidate"
    MODEL = "model"
    FALLBACK_MODEL = "fallback_model"
    """As `model`, but by one that stood in for the configured one."""
    LOCAL_MODEL = "local_model"
    """A small classifier on the router's own machine chose, without a chat model."""
    CONTRACT = "contract"
    """No agent was chosen: contracts, limits or the envelope alone decided (completed, abstained, rejected)."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """One agent, looked at for one message.

    Attributes:
        agent: its name.
        version: its version.
        fits: whether its input contract takes the message.
        why: why it fell out, or how it came in.
        needs_approval: it acts only when a person has sent the message on to it.
    """

    agent: str
    version: str
    fits: bool
    why: str
    needs_approval: bool = False


@dataclass(frozen=True, kw_only=True)
class ModelCall:
    """The model call behind a decision, complete enough to replay it.

    Attributes:
        model: the model that answered.
        prompt_hash: SHA-256 of system turn, user turn and schema, hex.
        raw_answer: the answer as it came, never cut.
        input_tokens: tokens of the prompt.
        output_tokens: tokens of the answer.
        latency_ms: milliseconds, retries included.
        attempts: calls made.
        completions: answers that came back, a repaired one included.
        cost_usd: what they cost in US dollars; None when the model's price is unknown.
        confidence: how sure the choice is, 0 to 1; None where nobody asked or nobody knows.
        opinions: each answer behind it, where it was asked how sure they are.
    """

    model: str
    prompt_hash: str
    raw_answer: str
    input_tokens: int
    output_tokens: int
    latency_ms: float
    attempts: int
    completions: int = 1
    cost_usd: float | None = None
    confidence: float | None = None
    opinions: tuple[Opinion, ...] = ()

    @property
    def usage(self) -> Usage:
        """What it used, for the workflow's budget."""
        return Usage(
            calls=self.completions,
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            cost_microusd=microusd(self.cost_usd or 0.0),
        )

    def to_json(self) -> dict[str, Any]:
        """The call as a JSON object."""
        return {**vars(self), "opinions": tuple(vars(opinion).copy() for opinion in self.opinions)}


@dataclass(frozen=True, kw_only=True)
class LocalCall:
    """What the local model said, where it decided.

    Attributes:
        model: its version.
        confidence: how probable it is that its choice is right, 0 to 1.
        threshold: what the confidence had to reach.
    """

    model: str
    confidence: float
    threshold: float


@dataclass(frozen=True, kw_only=True)
class ModelFailure:
    """Why a model that was asked gave no answer that could be used.

    Attributes:
        code: `model_answer` (it answered, and the answer is of no use), `model_refused` or `model_unavailable`.
        detail: one sentence for a person.
        prompt_hash: SHA-256 of what was asked, as in `ModelCall`.
    """

    code: str
    detail: str
    prompt_hash: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One decision on one message.

    Attributes:
        outcome: what happens to the message.
        how: how that was decided.
        reason: one sentence for a person.
        reason_code: the same for programs, snake case, e.g. `none_fits`, `contract_violation`, `step_limit`.
        agent: the agent that gets it, when routed.
        agent_version: that agent's version.
        proposed: the agent that would have got it, had a person approved.
        candidates: every agent that lists the type, and why it fits or fell out.
        shown: of those that fit, the ones that the model was shown; None where it was all, or no model was asked.
        model_call: the model call, if a model answered, be it with something of no use.
        model_failure: why a model that was asked did not decide.
        local_call: what the local model said, if it decided.
        budget: what models may still use for the workflow, when routed.
        catalog: version of the catalog that was used.
        catalog_sequence: its sequence.
    """

    outcome: Outcome
    how: Method
    reason: str
    reason_code: str
    agent: str | None = None
    agent_version: str | None = None
    proposed: str | None = None
    candidates: tuple[Candidate, ...] = field(default=())
    shown: tuple[str, ...] | None = None
    model_call: ModelCall | None = None
    model_failure: ModelFailure | None = None
    local_call: LocalCall | None = None
    budget: Budget | None = None
    catalog: str = ""
    catalog_sequence: int = 0

    def to_json(self) -> dict[str, Any]:
        """The decision as a JSON object for `agent_decisions`."""
        # Not `asdict` of the whole, which copies every leaf: it took a third of the router's time per message.
        return {
            **vars(self),
            "candidates": tuple(vars(candidate).copy() for candidate in self.candidates),
            "model_call": self.model_call.to_json() if self.model_call else None,
            "model_failure": vars(self.model_failure).copy() if self.model_failure else None,
            "local_call": vars(self.local_call).copy() if self.local_call else None,
            "budget": self.budget.to_json() if self.budget is not None else None,
        }
