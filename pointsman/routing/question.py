"""What the model was asked about a message, and the decision that its answer makes. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from pointsman.errors import ModelAnswerError, ModelRefusedError, PointsmanError
from pointsman.models.port import ChatAnswer, ChatRequest
from pointsman.routing.candidates import fitting
from pointsman.routing.decision import Candidate, Decision, Method, ModelCall, ModelFailure, Outcome
from pointsman.routing.prompt import MAX_REASON_CHARS, NONE
from pointsman.usage import Budget


@dataclass(frozen=True, kw_only=True)
class ModelQuestion:
    """A decision that waits for the model's answer.

    Attributes:
        request: what to ask.
        message_id: id of the message that it is about.
        candidates: every agent that lists the type; the model chooses among those that fit.
        prompt_hash: SHA-256 of system turn, user turn and schema, hex.
        shown: the candidates that the model is shown; None where that is all that fit.
        catalog: version of the catalog that made the question.
        catalog_sequence: its sequence.
        budget: what models may still use for the workflow.
        note: what the decision's reason must add, if anything.
    """

    request: ChatRequest
    message_id: str
    candidates: tuple[Candidate, ...]
    prompt_hash: str
    catalog: str
    catalog_sequence: int
    budget: Budget = field(default=Budget())
    note: str = ""
    shown: tuple[str, ...] | None = None


def concluded(question: ModelQuestion, answer: ChatAnswer) -> Decision:
    """The decision that the model's answer makes; a choice outside the candidates decides nothing."""
    decision = _chosen(question, answer, _call(question, answer))
    return replace(decision, how=Method.FALLBACK_MODEL) if answer.is_fallback else decision


def failed(question: ModelQuestion, error: Exception) -> Decision:
    """The decision when the model gave no usable answer: abstained, a person decides."""
    if isinstance(error, ModelRefusedError | ModelAnswerError):
        code = "model_refused" if isinstance(error, ModelRefusedError) else "model_answer"
        return without_answer(question, code, error.detail, error.answer)
    known = isinstance(error, PointsmanError)
    return without_answer(question, "model_unavailable", str(error) if known else type(error).__name__)


def without_answer(question: ModelQuestion, code: str, detail: str, answer: ChatAnswer | None = None) -> Decision:
    """The decision when what the model said, if anything, is of no use; `code` and `detail`: see `ModelFailure`."""
    reason = f"the model gave no answer: {detail}" if code == "model_unavailable" else detail
    call = _call(question, answer) if answer else None
    failure = ModelFailure(code=code, detail=detail, prompt_hash=question.prompt_hash)
    return replace(_concluded(question, Outcome.ABSTAINED, code, reason, call), model_failure=failure)


def approved(decision: Decision, to: Candidate) -> Decision:
    """`decision`, or the question to a person where `to` acts only with approval: to name the agent is to approve."""
    if not to.needs_approval or decision.how is Method.OVERRIDE:
        return decision
    reason = f"{to.agent} acts only with a person's approval; it was chosen because: {decision.reason}"
    return replace(
        decision,
        outcome=Outcome.ABSTAINED,
        reason_code="approval_required",
        reason=reason,
        agent=None,
        agent_version=None,
        proposed=to.agent,
        budget=None,
    )


def _call(question: ModelQuestion, answer: ChatAnswer) -> ModelCall:
    return ModelCall(
        model=answer.model,
        prompt_hash=question.prompt_hash,
        raw_answer=answer.raw,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        latency_ms=answer.latency_ms,
        attempts=answer.attempts,
        completions=answer.completions,
        cost_usd=answer.cost_usd,
        confidence=answer.confidence,
        opinions=answer.opinions,
    )


def _reason(given: Any, note: str) -> str:
    # A schema asks for a text; the code does not rely on it.
    text = given.strip()[:MAX_REASON_CHARS] if isinstance(given, str) else ""
    return f"{text or 'the model gave no reason'}{f' ({note})' if note else ''}"


def _chosen(question: ModelQuestion, answer: ChatAnswer, call: ModelCall) -> Decision:
    choice = answer.content.get("agent")
    reason = _reason(answer.content.get("reason"), question.note)
    if choice == NONE:
        return _concluded(question, Outcome.ABSTAINED, "none_fits", reason, call)
    eligible = [each for each in fitting(question.candidates) if question.shown is None or each.agent in question.shown]
    chosen = next((each for each in eligible if each.agent == choice), None)
    if chosen is None:
        return _concluded(question, Outcome.ABSTAINED, "model_answer", "the model chose no candidate", call)
    needed = question.request.doubt.needed(chosen.agent) if question.request.doubt else 0.0
    if answer.confidence is not None and answer.confidence < needed:
        reason = f"the model is {answer.confidence:.2f} sure of {chosen.agent} (needs {needed:.2f}): {reason}"
        return _concluded(question, Outcome.ABSTAINED, "low_confidence", reason, call)
    return _concluded(question, Outcome.ROUTED, "model_choice", reason, call, chosen)


def _concluded(
    question: ModelQuestion,
    outcome: Outcome,
    reason_code: str,
    reason: str,
    call: ModelCall | None,
    chosen: Candidate | None = None,
) -> Decision:
    decision = Decision(
        outcome=outcome,
        how=Method.MODEL,
        reason=reason,
        reason_code=reason_code,
        agent=chosen.agent if chosen else None,
        agent_version=chosen.version if chosen else None,
        candidates=question.candidates,
        shown=question.shown,
        model_call=call,
        budget=question.budget.less(call.usage) if call and chosen else None,
        catalog=question.catalog,
        catalog_sequence=question.catalog_sequence,
    )
    return approved(decision, chosen) if chosen else decision
