"""The router: message and catalog in, decision out; a model is asked only where contracts leave a real choice.

The order of the decision:

1. a person has cancelled the workflow → completed (`cancelled`), whatever the message is
2. an agent says what its definition does not declare → rejected (`undeclared_transition`, `contract_violation`)
3. candidates: every agent that lists the event type, each asked by its contract; a message that would be routed and is
   over a limit → abstained (see `pointsman.routing.limits`), except when a person sent it
4. a person named the next agent → that one (`override`), or abstained (`override_impossible`) when its contract does
   not take the message: doing something else than the person said would be worse than asking again. From anybody else
   the wish is ignored, and the reason says so.
5. nobody lists the type → completed if some agent declares it terminal, else abstained (`no_agent_accepts`);
   somebody does, but no contract takes it → completed if terminal, else rejected (`contract_violation`)
6. the emitting agent declares the next agent → that one (`rule`), or abstained (`rule_impossible`): a strict rule is
   never replaced by a guess
7. one candidate → that one (`single_candidate`), unless the options say that the model is asked for every message
8. several → the model chooses among them, or says that none fits (`none_fits`); while it is not available a fallback
   model does (`fallback_model`). Where there is a local model, it decides instead (`local_model`) when it is sure and
   no model answers, or, if the options say so, before one is asked. Of many candidates the model is shown the nearest
   ones (`max_shown`); it may still say that none fits

Whoever is chosen in 6, 7 or 8 and acts only with approval does not get it: abstained (`approval_required`), and a
person sends it on by naming the agent.

An agent that accepts what it emits may get its own message: no special case; the limits end a circle.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any

from pointsman.catalog import Catalog
from pointsman.definitions.model import AgentDefinition
from pointsman.envelope import AGENT_SOURCE, Envelope, Payload
from pointsman.errors import InvalidEnvelopeError
from pointsman.models.port import ChatAnswer
from pointsman.routing.asking import Asking
from pointsman.routing.candidates import CandidateFinder, fitting
from pointsman.routing.decision import Candidate, Decision, LocalCall, Method, Outcome
from pointsman.routing.limits import Counters, Excess, budget_left, excess, is_by_person, spent
from pointsman.routing.local_choice import LocalChooser, sure_choice
from pointsman.routing.question import ModelQuestion, approved, concluded, failed, without_answer
from pointsman.routing.transitions import DeclaredOutputs, Refusal
from pointsman.workflow_limits import LimitsByType


@dataclass(frozen=True, kw_only=True)
class RoutingOptions:
    """How to route.

    Attributes:
        always_ask_model: ask the model also when one candidate is left (a person's word and strict rules stay).
        limits: how far a workflow may go, as `pointsman.workflow_limits.LimitsByType.to_json` writes it.
        max_user_chars: longest user turn, in characters; longer texts of the message are cut for the model only.
        model: model name for routing; None is the adapter's default.
        timeout_s: seconds for one attempt; None is the adapter's default.
        max_output_tokens: upper bound of the answer, in tokens.
        local_first: where the local model is sure, it decides and no other model is asked.
        max_shown: of more candidates than that, the model is shown those whose definitions are nearest to the message
            (see `pointsman.routing.shortlist`); 0 shows all.
        instructions: what the model is told before the candidates are listed; empty for the built-in text.
        confidence: how sure the model must be, see `pointsman.routing.confidence`; empty does not ask.
        second_model: is asked where it is not; empty for a person at once.
        samples: 2 has the model asked twice where its server does not say how sure it is; 1 never does.
    """

    always_ask_model: bool = False
    limits: str = ""
    max_user_chars: int = 12_000
    model: str | None = None
    timeout_s: float | None = None
    max_output_tokens: int = 300
    local_first: bool = False
    max_shown: int = 7
    instructions: str = ""
    confidence: str = ""
    second_model: str = ""
    samples: int = 2


class Router:
    """Routes messages by one catalog. Build it once per catalog: contracts and prompts are made once.

    Args:
        catalog: the definitions in force.
        options: how to route.
        local: decides without a chat model where it is sure, if there is one.
    """

    def __init__(
        self, catalog: Catalog, options: RoutingOptions | None = None, local: LocalChooser | None = None
    ) -> None:
        self.catalog = catalog
        self.options = options or RoutingOptions()
        self._local = local
        self._finder = CandidateFinder(catalog)
        self._declared = DeclaredOutputs(catalog)
        self._options_json = asdict(self.options)
        self._limits = LimitsByType.from_json(self.options.limits)
        self._last_refusal: tuple[Envelope | None, Refusal | None] = (None, None)
        self._asking = Asking(catalog, self.options)

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
        budget = budget_left(message, counters, self._limits.of(counters.workflow_type))
        decided = self._decided(message, counters, now, candidates)
        if decided is None:
            over = spent(budget)
            decided = self._parked(over, candidates) if over else None
        note = _note(message)
        if decided is None:
            return self._asking.about(message, candidates, budget, note)
        return _noted(replace(decided, budget=budget if decided.agent else None), note)

    def _decided(
        self, message: Envelope, counters: Counters, now: datetime, candidates: tuple[Candidate, ...]
    ) -> Decision | None:
        """The decision that needs no model; None when only a model can make it."""
        if message.target_agent and is_by_person(message):
            return self._override(message.target_agent, candidates)
        return (
            self._nobody(message.event_type, candidates)
            or self._over_limit(message, counters, now, candidates)
            or self._rule(message, candidates)
            or self._single(candidates)
            or (self._by_local_model(message, candidates) if self.options.local_first else None)
        )

    def stand_in(self, message: Envelope, question: ModelQuestion) -> Decision | None:
        """The decision while no model answers: the local model's, if there is one and it is sure."""
        decided = self._by_local_model(message, question.candidates)
        if decided is None:
            return None
        return _noted(replace(decided, budget=question.budget if decided.agent else None), question.note)

    def refusal(self, message: Envelope) -> Decision | None:
        """The decision that refuses what an agent may not say; None when it may."""
        # Asked several times for one message in a row: its payload is held against the contract once.
        looked_at, found = self._last_refusal
        if looked_at is not message:
            found = self._declared.refusal(message)
            self._last_refusal = (message, found)
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
        return concluded(question, answer)

    def conclude_failure(self, question: ModelQuestion, error: Exception) -> Decision:
        """The decision when the model gave no usable answer: abstained, a person decides.

        Args:
            question: what was asked.
            error: why there is no answer; of an error that is not Pointsman's own only the type is kept.
        """
        return failed(question, error)

    def conclude_without(
        self, question: ModelQuestion, code: str, detail: str, answer: ChatAnswer | None = None
    ) -> Decision:
        """The decision when what the model said, if anything, is of no use; `code` and `detail`: see `ModelFailure`."""
        return without_answer(question, code, detail, answer)

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
            "counters": vars(counters).copy(),
            "options": self._options_json.copy(),
        }

    def _override(self, target: str, candidates: tuple[Candidate, ...]) -> Decision:
        named = next((each for each in candidates if each.agent == target), None)
        if named and named.fits:
            return self._routed(Method.OVERRIDE, "named_by_person", "a person named this agent", named, candidates)
        why = named.why if named else "no agent of that name accepts this event type"
        reason = f"a person named an agent that cannot take the message: {why}"
        return self._undecided(Outcome.ABSTAINED, "override_impossible", reason, candidates)

    def _nobody(self, event_type: str, candidates: tuple[Candidate, ...]) -> Decision | None:
        if any(each.fits for each in candidates):
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
        over = excess(message, counters, now, self._limits.of(counters.workflow_type), own)
        return self._parked(over, candidates) if over else None

    def _parked(self, over: Excess, candidates: tuple[Candidate, ...]) -> Decision:
        return self._undecided(Outcome.ABSTAINED, over.code, over.reason, candidates)

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
        fit = list(islice((each for each in candidates if each.fits), 2))
        if len(fit) != 1 or self.options.always_ask_model:
            return None
        others = len(candidates) - 1
        fell_out = f", {others} fell out by contract" if others else ""
        reason = f"the only agent that takes this event{fell_out}"
        return self._routed(Method.SINGLE_CANDIDATE, "single_candidate", reason, fit[0], candidates)

    def _by_local_model(self, message: Envelope, candidates: tuple[Candidate, ...]) -> Decision | None:
        choice = sure_choice(self._local, message.event_type, message.payload, candidates)
        if choice is None or self._local is None:
            return None
        chosen = next(each for each in fitting(candidates) if each.agent == choice.agent)
        call = LocalCall(
            model=self._local.version, confidence=round(choice.confidence, 4), threshold=round(choice.threshold, 4)
        )
        decided = self._routed(Method.LOCAL_MODEL, "local_choice", choice.reason, chosen, candidates)
        return replace(decided, local_call=call)

    def _routed(
        self, how: Method, reason_code: str, reason: str, to: Candidate, candidates: tuple[Candidate, ...]
    ) -> Decision:
        decision = Decision(
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
        return approved(decision, to)

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


def _note(message: Envelope) -> str:
    ignored = message.target_agent and not is_by_person(message)
    return "the sender may not name the next agent, its wish was ignored" if ignored else ""


def _noted(decision: Decision, note: str) -> Decision:
    return replace(decision, reason=f"{decision.reason} ({note})") if note else decision
