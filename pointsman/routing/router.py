"""The router: message and catalog in, decision out; a model is asked only where contracts leave a real choice.

The order of the decision:

1. a person has cancelled the workflow → completed (`cancelled`), whatever the message is
2. an agent says what its definition does not declare → rejected (`undeclared_transition`, `contract_violation`)
3. candidates: every agent that lists the event type, each asked by its contract; a message that would be routed and is
   over a limit → abstained (`step_limit`, `visit_limit`, `deadline_passed`), except when a person sent it
4. a person named the next agent → that one (`override`), or abstained (`override_impossible`) when its contract does
   not take the message: doing something else than the person said would be worse than asking again. From anybody else
   the wish is ignored, and the reason says so.
5. nobody lists the type → completed if some agent declares it terminal, else abstained (`no_agent_accepts`);
   somebody does, but no contract takes it → completed if terminal, else rejected (`contract_violation`)
6. the emitting agent declares the next agent → that one (`rule`), or abstained (`rule_impossible`): a strict rule is
   never replaced by a guess
7. one candidate → that one (`single_candidate`), unless the options say that the model is asked for every message
8. several → the model chooses among them, or says that none fits (`none_fits`); while it is not available a fallback
   model does (`fallback_model`)

An agent that accepts what it emits may get its own message: no special case; the limits end a circle.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from pointsman.catalog import Catalog
from pointsman.definitions.model import AgentDefinition
from pointsman.envelope import AGENT_SOURCE, Envelope, Payload
from pointsman.errors import InvalidEnvelopeError, ModelAnswerError, PointsmanError
from pointsman.models.port import ChatAnswer, ChatRequest
from pointsman.routing.candidates import CandidateFinder, fitting
from pointsman.routing.decision import Candidate, Decision, Method, ModelCall, ModelFailure, Outcome
from pointsman.routing.limits import Counters, excess, is_by_person
from pointsman.routing.prompt import MAX_REASON_CHARS, NONE, PromptPrefix, prefix_for, user_turn
from pointsman.routing.transitions import DeclaredOutputs


@dataclass(frozen=True, kw_only=True)
class RoutingOptions:
    """How to route.

    Attributes:
        always_ask_model: ask the model also when one candidate is left (a person's word and strict rules stay).
        max_steps: messages that one workflow may have routed.
        max_visits: how often one agent may say the same in one workflow, where its definition says nothing else.
        max_user_chars: longest user turn, in characters; longer texts of the message are cut for the model only.
        model: model name for routing; None is the adapter's default.
        timeout_s: seconds for one attempt; None is the adapter's default.
        max_output_tokens: upper bound of the answer, in tokens.
    """

    always_ask_model: bool = False
    max_steps: int = 40
    max_visits: int = 2
    max_user_chars: int = 12_000
    model: str | None = None
    timeout_s: float | None = None
    max_output_tokens: int = 300


@dataclass(frozen=True, kw_only=True)
class ModelQuestion:
    """A decision that waits for the model's answer.

    Attributes:
        request: what to ask.
        message_id: id of the message that it is about.
        candidates: every agent that lists the type; the model chooses among those that fit.
        prompt_hash: SHA-256 of system turn, user turn and schema, hex.
        catalog: version of the catalog that made the question.
        catalog_sequence: its sequence.
        note: what the decision's reason must add, if anything.
    """

    request: ChatRequest
    message_id: str
    candidates: tuple[Candidate, ...]
    prompt_hash: str
    catalog: str
    catalog_sequence: int
    note: str = ""


class Router:
    """Routes messages by one catalog. Build it once per catalog: contracts and prompts are made once.

    Args:
        catalog: the definitions in force.
        options: how to route.
    """

    def __init__(self, catalog: Catalog, options: RoutingOptions | None = None) -> None:
        self.catalog = catalog
        self.options = options or RoutingOptions()
        self._finder = CandidateFinder(catalog)
        self._declared = DeclaredOutputs(catalog)
        self._prefixes: dict[tuple[str, ...], PromptPrefix] = {}

    def prepare(self, message: Envelope, counters: Counters, now: datetime) -> Decision | ModelQuestion:
        """Decide on `message`, or say what to ask the model; never raises, whatever the payload holds.

        Args:
            message: the message.
            counters: what its workflow has come to.
            now: the time, UTC.
        """
        if counters.is_cancelled:
            return self._undecided(Outcome.COMPLETED, "cancelled", "a person has cancelled the workflow", ())
        refused = self.refusal(message)
        if refused:
            return refused
        candidates = self._finder.find(message.event_type, message.payload)
        if message.target_agent and is_by_person(message):
            return self._override(message.target_agent, candidates)
        note = "the sender may not name the next agent, its wish was ignored" if message.target_agent else ""
        decided = (
            self._nobody(message.event_type, candidates)
            or self._over_limit(message, counters, now, candidates)
            or self._rule(message, candidates)
            or self._single(candidates)
        )
        return _noted(decided, note) if decided else self._ask(message, candidates, note)

    def refusal(self, message: Envelope) -> Decision | None:
        """The decision that refuses what an agent may not say; None when it may."""
        found = self._declared.refusal(message)
        return self._undecided(Outcome.REJECTED, found.code, found.reason, ()) if found else None

    def held_by_limit(self, message: Envelope, counters: Counters, now: datetime) -> Decision | None:
        """The decision that leaves `message` to a person because it is over a limit, whoever would get it."""
        return self._over_limit(message, counters, now, ())

    def candidates(self, event_type: str, payload: Payload) -> tuple[Candidate, ...]:
        """Every agent that lists `event_type`, and whether its contract takes `payload`."""
        return self._finder.find(event_type, payload)

    def conclude(self, question: ModelQuestion, answer: ChatAnswer) -> Decision:
        """The decision that the model's answer makes; a choice outside the candidates decides nothing.

        The question carries all it needs: a router of a later catalog may conclude it.
        """
        decision = _chosen(question, answer, _call(question, answer))
        return replace(decision, how=Method.FALLBACK_MODEL) if answer.is_fallback else decision

    def conclude_failure(self, question: ModelQuestion, error: Exception) -> Decision:
        """The decision when the model gave no usable answer: abstained, a person decides.

        Args:
            question: what was asked.
            error: why there is no answer; of an error that is not Pointsman's own only the type is kept.
        """
        if isinstance(error, ModelAnswerError):
            return self.conclude_without(question, "model_answer", error.detail, error.answer)
        known = isinstance(error, PointsmanError)
        return self.conclude_without(question, "model_unavailable", str(error) if known else type(error).__name__)

    def conclude_without(
        self, question: ModelQuestion, code: str, detail: str, answer: ChatAnswer | None = None
    ) -> Decision:
        """The decision when what the model said, if anything, is of no use; `code` and `detail`: see `ModelFailure`."""
        reason = detail if code == "model_answer" else f"the model gave no answer: {detail}"
        call = _call(question, answer) if answer else None
        failure = ModelFailure(code=code, detail=detail, prompt_hash=question.prompt_hash)
        return replace(_concluded(question, Outcome.ABSTAINED, code, reason, call), model_failure=failure)

    def refuse(self, error: InvalidEnvelopeError) -> Decision:
        """The decision on a record that is no message."""
        return self._undecided(Outcome.REJECTED, error.reason.value, error.detail, ())

    def inputs(self, message: Envelope | None, counters: Counters, now: datetime) -> dict[str, Any]:
        """What a decision is made from beside the message and the definitions in force, as a JSON object.

        The decision log keeps it, so that the decision can be made again: see `pointsman.replay`.
        """
        return {
            "now": now.isoformat(),
            "is_terminal": message is not None and message.event_type in self.catalog.terminal_types,
            "is_declared": message is not None and self.refusal(message) is None,
            "counters": asdict(counters),
            "options": asdict(self.options),
        }

    def _override(self, target: str, candidates: tuple[Candidate, ...]) -> Decision:
        named = next((each for each in candidates if each.agent == target), None)
        if named and named.fits:
            return self._routed(Method.OVERRIDE, "named_by_person", "a person named this agent", named, candidates)
        why = named.why if named else "no agent of that name accepts this event type"
        reason = f"a person named an agent that cannot take the message: {why}"
        return self._undecided(Outcome.ABSTAINED, "override_impossible", reason, candidates)

    def _nobody(self, event_type: str, candidates: tuple[Candidate, ...]) -> Decision | None:
        if fitting(candidates):
            return None
        if event_type in self.catalog.terminal_types:
            reason = f"{event_type} is terminal and no agent takes it: the workflow is complete"
            return self._undecided(Outcome.COMPLETED, "terminal", reason, candidates)
        if candidates:
            reason = "; ".join(f"{each.agent}: {each.why}" for each in candidates)
            return self._undecided(Outcome.REJECTED, "contract_violation", reason, candidates)
        # The type comes from outside: it is cut, it could be anything.
        reason = f"no agent accepts {event_type[:100]}, and no agent declares it terminal"
        return self._undecided(Outcome.ABSTAINED, "no_agent_accepts", reason, candidates)

    def _over_limit(
        self, message: Envelope, counters: Counters, now: datetime, candidates: tuple[Candidate, ...]
    ) -> Decision | None:
        emitter = self._emitter(message)
        own = emitter.limits.max_visits if emitter else None
        max_visits = self.options.max_visits if own is None else own
        over = excess(message, counters, now, max_steps=self.options.max_steps, max_visits=max_visits)
        return self._undecided(Outcome.ABSTAINED, over.code, over.reason, candidates) if over else None

    def _emitter(self, message: Envelope) -> AgentDefinition | None:
        """The definition of the agent that wrote `message`, if one did."""
        if not message.source.startswith(AGENT_SOURCE):
            return None
        return self.catalog.definitions.get(message.source.removeprefix(AGENT_SOURCE))

    def _rule(self, message: Envelope, candidates: tuple[Candidate, ...]) -> Decision | None:
        emitter = self._emitter(message)
        emitted = emitter.emitted(message.event_type) if emitter else None
        if emitter is None or emitted is None or emitted.next_agent is None:
            return None
        target = next((each for each in fitting(candidates) if each.agent == emitted.next_agent), None)
        if target is None:
            reason = f"{emitter.name} declares {emitted.next_agent} as the next agent, which cannot take the message"
            return self._undecided(Outcome.ABSTAINED, "rule_impossible", reason, candidates)
        reason = f"{emitter.name} declares it as the next agent for {emitted.type}"
        return self._routed(Method.RULE, "declared_next", reason, target, candidates)

    def _single(self, candidates: tuple[Candidate, ...]) -> Decision | None:
        fit = fitting(candidates)
        if len(fit) != 1 or self.options.always_ask_model:
            return None
        others = len(candidates) - 1
        fell_out = f", {others} fell out by contract" if others else ""
        reason = f"the only agent that takes this event{fell_out}"
        return self._routed(Method.SINGLE_CANDIDATE, "single_candidate", reason, fit[0], candidates)

    def _ask(self, message: Envelope, candidates: tuple[Candidate, ...], note: str) -> ModelQuestion:
        prefix = self._prefix(tuple(each.agent for each in fitting(candidates)))
        user = user_turn(message, self.options.max_user_chars)
        request = ChatRequest(
            system=prefix.system,
            user=user,
            schema=prefix.schema,
            schema_name="routing_decision",
            model=self.options.model,
            max_output_tokens=self.options.max_output_tokens,
            timeout_s=self.options.timeout_s,
            priority=message.priority,
        )
        return ModelQuestion(
            request=request,
            message_id=message.id,
            candidates=candidates,
            prompt_hash=prefix.hash_with(user),
            catalog=self.catalog.version,
            catalog_sequence=self.catalog.sequence,
            note=note,
        )

    def _prefix(self, names: tuple[str, ...]) -> PromptPrefix:
        if names not in self._prefixes:
            self._prefixes[names] = prefix_for([self.catalog.definitions[name] for name in names])
        return self._prefixes[names]

    def _routed(
        self, how: Method, reason_code: str, reason: str, to: Candidate, candidates: tuple[Candidate, ...]
    ) -> Decision:
        return Decision(
            outcome=Outcome.ROUTED,
            how=how,
            reason=reason,
            reason_code=reason_code,
            agent=to.agent,
            agent_version=to.version,
            candidates=candidates,
            catalog=self.catalog.version,
            catalog_sequence=self.catalog.sequence,
        )

    def _undecided(
        self, outcome: Outcome, reason_code: str, reason: str, candidates: tuple[Candidate, ...]
    ) -> Decision:
        return Decision(
            outcome=outcome,
            how=Method.CONTRACT,
            reason=reason,
            reason_code=reason_code,
            candidates=candidates,
            catalog=self.catalog.version,
            catalog_sequence=self.catalog.sequence,
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
    )


def _noted(decision: Decision, note: str) -> Decision:
    return replace(decision, reason=f"{decision.reason} ({note})") if note else decision


def _reason(given: Any, note: str) -> str:
    # A schema asks for a text; the code does not rely on it.
    text = given.strip()[:MAX_REASON_CHARS] if isinstance(given, str) else ""
    return f"{text or 'the model gave no reason'}{f' ({note})' if note else ''}"


def _chosen(question: ModelQuestion, answer: ChatAnswer, call: ModelCall) -> Decision:
    choice = answer.content.get("agent")
    reason = _reason(answer.content.get("reason"), question.note)
    if choice == NONE:
        return _concluded(question, Outcome.ABSTAINED, "none_fits", reason, call)
    chosen = next((each for each in fitting(question.candidates) if each.agent == choice), None)
    if chosen is None:
        return _concluded(question, Outcome.ABSTAINED, "model_answer", "the model chose no candidate", call)
    return _concluded(question, Outcome.ROUTED, "model_choice", reason, call, chosen)


def _concluded(
    question: ModelQuestion,
    outcome: Outcome,
    reason_code: str,
    reason: str,
    call: ModelCall | None,
    chosen: Candidate | None = None,
) -> Decision:
    return Decision(
        outcome=outcome,
        how=Method.MODEL,
        reason=reason,
        reason_code=reason_code,
        agent=chosen.agent if chosen else None,
        agent_version=chosen.version if chosen else None,
        candidates=question.candidates,
        model_call=call,
        catalog=question.catalog,
        catalog_sequence=question.catalog_sequence,
    )
