"""Every error Pointsman raises, split by the one question a runner asks: may I try again?

    PointsmanError
    ├── TransientError            try again, with back-off
    │   ├── ModelUnavailableError     time-out, refused connection, 5xx
    │   │   └── ModelBusyError            it is there and asks for patience: 429
    │   ├── BrokerUnavailableError
    │   ├── StoreUnavailableError
    │   ├── RegistryUnavailableError  the schema registry does not answer
    │   ├── EffectUnavailableError    an outside effect (mail) was refused for now, surely not done
    │   └── ToolUnavailableError      an MCP server does not answer
    ├── PermanentError            no retry helps: dead letter
    │   ├── InvalidEnvelopeError      the record is no message
    │   ├── ErasedError               its workflow is erased: nothing of it may be written
    │   ├── InvalidPayloadError       the payload breaks its contract
    │   ├── InvalidPlanError          a proposed plan cannot be carried out
    │   ├── UndeclaredEventError      an agent answered with a type its definition does not emit
    │   └── ModelAnswerError          the model answered, and the answer is of no use
    ├── LeftToPersonError         nothing is wrong with the record, but only a person may go on: escalation
    │   ├── ModelRefusedError         the model or its content filter declined to answer
    │   └── BudgetSpentError          the workflow or the message has used up what models may use for it
    ├── EffectsStoppedError       a person has stopped all effects: wait until they are started, without counting
    ├── RefusedError              what a person asked for cannot be done, and nothing was changed
    └── ConfigurationError        a person must change something: exit at start, clear message
        └── InvalidDefinitionsError   one or more agent definitions are wrong

Errors pass all their arguments to `super().__init__`, so that they survive pickling between Flink's processes, and
build their text in `__str__`. They never carry a payload, an address or a secret in their text.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pointsman.definitions.problems import Problem
    from pointsman.models.port import ChatAnswer


class ErrorReason(StrEnum):
    """Why a record is a dead letter: the `x_error_reason` header of `agent_errors`."""

    NOT_A_MESSAGE = "not_a_message"
    """A CloudEvents header is missing or malformed."""
    INVALID_JSON = "invalid_json"
    """The value is not a JSON object."""
    INVALID_AVRO = "invalid_avro"
    """The value is Avro that cannot be read."""
    INVALID_ENCRYPTION = "invalid_encryption"
    """The value is encrypted, and not for this workflow and type, or there is no key in the settings."""
    ERASED = "erased"
    """The key of its workflow was deleted, so that nobody can read the value any more."""
    TOMBSTONE = "tombstone"
    """The record has no value."""
    TOO_LARGE = "too_large"
    """The value is larger than `pointsman.envelope.MAX_PAYLOAD_BYTES`."""
    CONTRACT_VIOLATION = "contract_violation"
    """The payload breaks the contract of every agent that accepts its type."""
    UNKNOWN_EVENT_TYPE = "unknown_event_type"
    """The agent that received it does not accept this type."""
    UNDECLARED_EVENT = "undeclared_event"
    """An agent answered with a type that its definition does not emit."""
    UNDECLARED_TRANSITION = "undeclared_transition"
    """A message in an agent's name that the agent's definition does not declare; the router refused it."""
    INVALID_DEFINITION = "invalid_definition"
    """A record of `agent_definitions` is no agent definition."""
    INVALID_PLAN = "invalid_plan"
    """A proposed plan cannot be carried out; the text names the task."""
    MODEL_ANSWER = "model_answer"
    """The model's answer is of no use, also after a repair."""
    FAN_OUT = "fan_out"
    """An agent answered one message with more messages than it may; the first of them were written."""
    ATTEMPTS_EXHAUSTED = "attempts_exhausted"
    """A passing failure did not pass within the agent's attempts."""
    AGENT_FAULT = "agent_fault"
    """The agent's own code raised something unforeseen."""


class PointsmanError(Exception):
    """Root of every error that Pointsman raises on purpose."""


class TransientError(PointsmanError):
    """Trying again may help.

    Attributes:
        retry_after_s: seconds the other side asked us to wait, if it did.
    """

    def __init__(self, what: str, retry_after_s: float | None = None) -> None:
        super().__init__(what, retry_after_s)
        self.what = what
        self.retry_after_s = retry_after_s

    def __str__(self) -> str:
        wait = "" if self.retry_after_s is None else f" (asked to wait {self.retry_after_s:g} s)"
        return f"{self.what}{wait}"


class ModelUnavailableError(TransientError):
    """The model did not answer: time-out, no connection, 429 or 5xx."""


class ModelBusyError(ModelUnavailableError):
    """The model is there and asks for patience: 429."""


class BrokerUnavailableError(TransientError):
    """Kafka did not answer."""


class StoreUnavailableError(TransientError):
    """The document store did not answer."""


class RegistryUnavailableError(TransientError):
    """The schema registry did not answer, and what is asked for is not known from before."""


class EffectUnavailableError(TransientError):
    """An effect outside Kafka was refused for now and has surely not happened."""


class ToolUnavailableError(TransientError):
    """An MCP server did not answer: it is gone, or a call took too long."""


class PermanentError(PointsmanError):
    """No retry can save this record; it becomes a dead letter.

    Attributes:
        reason: the typed reason that the dead letter carries.
        detail: one sentence for a person, without personal data.
    """

    def __init__(self, reason: ErrorReason, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason.value}: {self.detail}"


class InvalidEnvelopeError(PermanentError):
    """The record is not a message."""


class ErasedError(PermanentError):
    """A workflow is erased: there is no key to write anything of it with, and there never will be."""

    def __init__(self) -> None:
        super().__init__(ErrorReason.ERASED, "its workflow was erased, so nothing of it is written any more")
        self.args = ()


class InvalidPayloadError(PermanentError):
    """The payload breaks its contract."""


class InvalidPlanError(PermanentError):
    """A proposed plan cannot be carried out."""

    def __init__(self, detail: str) -> None:
        # Not `super().__init__(reason, detail)` alone: pickling calls the class with `args`.
        super().__init__(ErrorReason.INVALID_PLAN, detail)
        self.args = (detail,)


class UndeclaredEventError(PermanentError):
    """An agent answered with an event type that its definition does not declare."""


class ModelAnswerError(PermanentError):
    """The model answered and the answer is of no use.

    Attributes:
        answer: what it said and what that took, for the decision log; its content is empty. None when it said nothing.
    """

    def __init__(self, detail: str, answer: ChatAnswer | None = None) -> None:
        # Not `super().__init__(reason, detail)` alone: pickling calls the class with `args`. The answer stays out of
        # them: it may quote a lead, and `args` are what an exception shows.
        super().__init__(ErrorReason.MODEL_ANSWER, detail)
        self.args = (detail,)
        self.answer = answer


class LeftToPersonError(PointsmanError):
    """No retry and no mending helps: a person decides how to go on, and the record waits on `agent_escalations`.

    Attributes:
        code: for programs: the escalation's reason.
        detail: one sentence for a person, without personal data.
    """

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(code, detail)
        self.code = code
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.code}: {self.detail}"


class ModelRefusedError(LeftToPersonError):
    """The model or its content filter declined to answer.

    Attributes:
        answer: what that took, as of `ModelAnswerError`.
    """

    def __init__(self, detail: str, answer: ChatAnswer | None = None) -> None:
        super().__init__("model_refused", detail)
        self.args = (detail,)
        self.answer = answer


class BudgetSpentError(LeftToPersonError):
    """A model call was not made because it would go over a limit: `model_call_limit`, `token_limit`, `cost_limit`."""


class EffectsStoppedError(PointsmanError):
    """A person has stopped all effects outside Kafka; this one was not begun, and waits for as long as it takes."""


class RefusedError(PointsmanError):
    """What a person asked for cannot be done; nothing was changed.

    Attributes:
        what: what cannot be done, and why.
        remedy: what to do instead.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}" if self.remedy else self.what


class ConfigurationError(PointsmanError):
    """A setting, a file or the environment is wrong, and only a person can mend it.

    Attributes:
        what: what is wrong and where.
        remedy: what to do next.
    """

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(what, remedy)
        self.what = what
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.what}; {self.remedy}" if self.remedy else self.what


class InvalidDefinitionsError(ConfigurationError):
    """One or more agent definitions are wrong; none was applied.

    Attributes:
        problems: every error found, each with file, line and column.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.args = (problems,)
        self.problems = problems
