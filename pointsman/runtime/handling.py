"""From one inbox record to the records that answer it: checks, tries, replies, dead letters. Knows no Kafka client."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

import stamina
import structlog

from pointsman.contracts import Contract
from pointsman.deadletters import dead_letter
from pointsman.definitions import AgentDefinition
from pointsman.envelope import MAX_PAYLOAD_BYTES, Envelope, Record, decode
from pointsman.errors import (
    ConfigurationError,
    EffectsStoppedError,
    ErasedError,
    ErrorReason,
    InvalidPayloadError,
    LeftToPersonError,
    PermanentError,
    TransientError,
    UndeclaredEventError,
)
from pointsman.escalations import escalation
from pointsman.runtime.agent import Agent, Reply
from pointsman.runtime.claims import ClaimedElsewhereError, Claims
from pointsman.runtime.metering import Meter, measured
from pointsman.runtime.patience import Patience
from pointsman.runtime.task_news import NO_ANSWER, task_failed
from pointsman.shredding.values import ValueCodec, is_erased
from pointsman.topics import MESSAGES
from pointsman.usage import Budget, Usage, microusd

_log = structlog.get_logger(__name__)
_Done = TypeVar("_Done")


@dataclass(frozen=True, kw_only=True)
class ActiveAgent:
    """An agent as it is in force: definition, code and compiled contracts.

    Attributes:
        definition: the definition.
        agent: what its module built, or the declarative agent.
        catalog: version of the catalog that the definition came with.
        accepts: input contracts by event type.
        emits: output contracts by event type.
    """

    definition: AgentDefinition
    agent: Agent
    catalog: str
    accepts: Mapping[str, Contract]
    emits: Mapping[str, Contract]

    @staticmethod
    def of(definition: AgentDefinition, agent: Agent, catalog: str) -> ActiveAgent:
        """Compile the contracts of `definition`."""
        return ActiveAgent(
            definition=definition,
            agent=agent,
            catalog=catalog,
            accepts={entry.type: Contract(entry.contract) for entry in definition.accepts},
            emits={entry.type: Contract(entry.contract) for entry in definition.emits},
        )

    def check_input(self, message: Envelope) -> None:
        """Raise unless the definition takes `message`.

        Raises:
            InvalidPayloadError: the type is not accepted, or the payload breaks its contract.
        """
        contract = self.accepts.get(message.event_type)
        if contract is None:
            detail = f"{self.definition.name} does not accept events of this type"
            raise InvalidPayloadError(ErrorReason.UNKNOWN_EVENT_TYPE, detail)
        contract.check(message.payload)

    def check_output(self, event_type: str, message: Envelope) -> None:
        """Raise unless the definition declares what the agent says.

        Raises:
            UndeclaredEventError: the type is not among what it emits.
            InvalidPayloadError: the payload breaks its contract, or is too large.
            PermanentError: the payload is not JSON.
        """
        contract = self.emits.get(event_type)
        if contract is None:
            detail = f"{self.definition.name} answered with {event_type}, which its definition does not emit"
            raise UndeclaredEventError(ErrorReason.UNDECLARED_EVENT, detail)
        try:
            size = len(json.dumps(message.payload, ensure_ascii=False, allow_nan=False).encode())
            violation = contract.violation(message.payload)
        except (TypeError, ValueError, RecursionError):
            raise PermanentError(ErrorReason.AGENT_FAULT, f"the {event_type} it made is not JSON") from None
        if violation:
            raise InvalidPayloadError(ErrorReason.CONTRACT_VIOLATION, f"the {event_type} it made: {violation}")
        if size > MAX_PAYLOAD_BYTES:
            raise InvalidPayloadError(ErrorReason.TOO_LARGE, f"the {event_type} it made has {size} bytes")


@dataclass(kw_only=True)
class _Try:
    """How far one record came."""

    record: Record
    first_at: datetime
    is_wanted: Callable[[], bool]
    began: float = field(default_factory=time.monotonic)
    attempts: int = 0
    meter: Meter | None = None


class Handling:
    """Answers records with the agent that is in force.

    Args:
        active: the agent in force; asked once per record.
        now: the clock, UTC.
        claims: who acts on a message that the router may write more than once.
        dice: random numbers from 0 to 1, for the spread of waits.
        codec: reads and writes Avro and what is encrypted; None where neither is configured.
    """

    def __init__(
        self,
        active: Callable[[], ActiveAgent],
        now: Callable[[], datetime],
        claims: Claims,
        dice: Callable[[], float] = random.random,
        codec: ValueCodec | None = None,
    ) -> None:
        self._active = active
        self._now = now
        self._claims = claims
        self._dice = dice
        self._codec = codec

    async def answer(
        self, record: Record, is_wanted: Callable[[], bool] = lambda: True, meant: ActiveAgent | None = None
    ) -> list[Record]:
        """The replies to `record` as records for `agent_messages`, or its dead letter, or the question to a person.

        More replies than the agent may give are cut off, and one dead letter says so. While the model, the store or an
        effect is out, this waits for up to the definition's `limits.retry_for_s`. When a message of a plan's task gets
        no answer, one more record tells the plan. A copy of a message of which another copy was claimed gets nothing,
        and so does a message whose workflow is erased.

        Args:
            record: the record.
            is_wanted: whether the answer still counts; once it does not, nothing is tried again.
            meant: the agent that it is for; None for the one in force.

        Raises:
            ConfigurationError: a person must act; the record is not handled.
            EffectsStoppedError: it needs an effect that may not begin now; the record is not handled.
        """
        active = meant or self._active()
        attempt = _Try(record=record, first_at=self._now(), is_wanted=is_wanted)
        try:
            record = attempt.record = await self._readable(active, attempt)
            if is_erased(record):
                raise ErasedError
            message = decode(record)
            active.check_input(message)
            with measured(_budget(active, message)) as attempt.meter:
                replies = await self._try(active, attempt, partial(self._worked, active, message, attempt))
            records = self._records(active, message, replies, attempt)
            records = await self._written(active, attempt, records)
        except ClaimedElsewhereError:
            _log.info("a repeat is left alone", partition=record.partition, offset=record.offset)
            return []
        except ErasedError:
            _log.info("a message of an erased workflow is left alone", partition=record.partition, offset=record.offset)
            return []
        except LeftToPersonError as error:
            return [self._for_person(active, attempt, error)]
        except PermanentError as error:
            return self._given_up(active, attempt, error.reason, error.detail)
        except TransientError as error:
            if not is_wanted():
                return []
            detail = f"{type(error).__name__} in the last of {attempt.attempts} tries: {error}"
            return self._given_up(active, attempt, ErrorReason.ATTEMPTS_EXHAUSTED, detail)
        except (ConfigurationError, EffectsStoppedError):
            raise
        except Exception as error:  # the edge: an agent's bug costs one message, not the process
            _log.error("the agent's code failed", exc_info=error)
            detail = f"the agent raised {type(error).__name__}"
            return self._given_up(active, attempt, ErrorReason.AGENT_FAULT, detail)
        self._note(active, message, attempt, replies)
        return records or [*self._task_failed(active, attempt, NO_ANSWER)]

    async def _readable(self, active: ActiveAgent, attempt: _Try) -> Record:
        codec, record = self._codec, attempt.record
        if codec is None:
            return record
        if known := codec.readable_now(record):
            return known
        return await self._try(active, attempt, lambda: asyncio.to_thread(codec.readable, record))

    async def _written(self, active: ActiveAgent, attempt: _Try, records: list[Record]) -> list[Record]:
        codec = self._codec
        if codec is None:
            return records
        written: list[Record] = []
        for record in records:
            # Apart from the agent's work: an outage of the registry must not have it done again.
            known = codec.written_now(record)
            ask = partial(asyncio.to_thread, codec.written, record)
            written.append(known if known else await self._try(active, attempt, ask))
        return written

    async def _try(self, active: ActiveAgent, attempt: _Try, work: Callable[[], Awaitable[_Done]]) -> _Done:
        limits = active.definition.limits
        try:
            async with asyncio.timeout(limits.timeout_s) as working:
                patience = Patience(
                    limits, now=self._now, dice=self._dice, is_wanted=attempt.is_wanted, working=working
                )
                return await _retried(work, attempt, patience)
        except TimeoutError:
            if not working.expired():  # the agent's own, and it did not say that trying again may help
                raise
            detail = f"no answer within {limits.timeout_s:g} s, in try {attempt.attempts}"
            raise PermanentError(ErrorReason.ATTEMPTS_EXHAUSTED, detail) from None

    async def _worked(self, active: ActiveAgent, message: Envelope, attempt: _Try) -> Sequence[Reply]:
        await self._claims.take(message, attempt.record)
        return await active.agent.handle(message)

    def _records(self, active: ActiveAgent, message: Envelope, replies: Sequence[Reply], attempt: _Try) -> list[Record]:
        most = active.definition.limits.max_replies
        # The first answer says what all of them together have used: the router adds it up.
        used = [(_used(attempt), message.routing_usage)] + [(Usage(), Usage())] * (most - 1)
        records = [
            self._record(active, message, index, reply, *used[index]) for index, reply in enumerate(replies[:most])
        ]
        if len(replies) <= most:
            return records
        detail = f"the agent gave {len(replies)} answers, at most {most} are allowed; the others were left out"
        return [*records, self._dead(active, attempt, ErrorReason.FAN_OUT, detail)]

    def _record(
        self, active: ActiveAgent, message: Envelope, index: int, reply: Reply, used: Usage, routing: Usage
    ) -> Record:
        answer = message.reply(
            agent=active.definition.name,
            agent_version=active.definition.version,
            index=index,
            event_type=reply.event_type,
            payload=reply.payload,
            time=self._now(),
            subject=reply.subject,
        )
        active.check_output(reply.event_type, answer)
        return replace(answer, usage=used, routing_usage=routing).to_record(MESSAGES)

    def _for_person(self, active: ActiveAgent, attempt: _Try, error: LeftToPersonError) -> Record:
        self._log_end("message waits for a person", attempt, error.code, error.detail)
        name = active.definition.name
        return escalation(
            attempt.record,
            reason=error.code,
            detail=f"{name}: {error.detail}",
            stage=f"agent/{name}",
            now=self._now(),
            catalog=active.catalog,
            more={"candidates": name},
        )

    def _given_up(self, active: ActiveAgent, attempt: _Try, reason: ErrorReason, detail: str) -> list[Record]:
        letter = self._dead(active, attempt, reason, detail)
        return [letter, *self._task_failed(active, attempt, reason.value)]

    def _task_failed(self, active: ActiveAgent, attempt: _Try, reason_code: str) -> Sequence[Record]:
        return task_failed(attempt.record, reason_code, active.definition, self._now(), _used(attempt))

    def _dead(self, active: ActiveAgent, attempt: _Try, reason: ErrorReason, detail: str) -> Record:
        self._log_end("message became a dead letter", attempt, reason.value, detail)
        return dead_letter(
            attempt.record,
            reason=reason,
            stage=f"agent/{active.definition.name}",
            detail=detail,
            attempts=max(1, attempt.attempts),
            first_at=attempt.first_at,
            now=self._now(),
            catalog=active.catalog,
        )

    def _log_end(self, what: str, attempt: _Try, reason: str, detail: str) -> None:
        _log.warning(
            what,
            reason=reason,
            detail=detail,
            attempts=attempt.attempts,
            partition=attempt.record.partition,
            offset=attempt.record.offset,
        )

    def _note(self, active: ActiveAgent, message: Envelope, attempt: _Try, replies: Sequence[Reply]) -> None:
        _log.info(
            "message answered",
            message_id=message.id,
            workflow_id=message.workflow_id,
            event_type=message.event_type,
            replies=[reply.event_type for reply in replies],
            agent_version=active.definition.version,
            attempts=attempt.attempts,
            took_ms=round((time.monotonic() - attempt.began) * 1000, 1),
        )


def _used(attempt: _Try) -> Usage:
    return attempt.meter.used if attempt.meter else Usage()


def _budget(active: ActiveAgent, message: Envelope) -> Budget:
    limits = active.definition.limits
    cost = None if limits.cost_usd is None else microusd(limits.cost_usd)
    return message.budget.within(Budget(calls=limits.model_calls, cost_microusd=cost))


async def _retried(work: Callable[[], Awaitable[_Done]], attempt: _Try, patience: Patience) -> _Done:
    async for current in stamina.retry_context(on=patience, attempts=None, timeout=None):
        with current:
            attempt.attempts = current.num
            return await work()
    never = "stamina tries at least once"
    raise AssertionError(never)
