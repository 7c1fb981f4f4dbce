"""Whatever arrives and whatever the model does, records come out and nothing is raised."""

from collections.abc import Callable, Sequence
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flink_jobs.operators.deciding import Concluded, Deciding, Question
from flink_jobs.operators.records import Arrived
from pointsman.catalog import Catalog
from pointsman.definitions.model import Accepts, AgentDefinition, Emits
from pointsman.envelope import Envelope, Payload, Record
from pointsman.errors import ModelUnavailableError
from pointsman.models.port import ChatAnswer
from pointsman.routing.decision import Decision
from pointsman.routing.limits import Counters
from pointsman.routing.local_choice import LocalChoice
from pointsman.routing.question import ModelQuestion
from pointsman.routing.router import Router
from pointsman.testing import ManualClock

SECRET = "ada@example.com"


def agent(name: str) -> AgentDefinition:
    contract = {"type": "object", "required": ["score"]}
    return AgentDefinition(
        name=name,
        version="1.0.0",
        description=f"Takes scored leads, as {name}.",
        accepts=[Accepts(type="lead.scored", contract=contract)],
        emits=[Emits(type="mail.sent", contract={"type": "object"}, terminal=True)],
    )


ROUTER = Router(Catalog.of([agent("warm"), agent("cold")]))


class BrokenRouter(Router):
    def __init__(self) -> None:
        super().__init__(Catalog.of([agent("warm")]))

    def prepare(self, message: Envelope, counters: Counters, now: datetime) -> Decision | ModelQuestion:
        raise KeyError(message.payload["score"])


def deciding(
    router: Router = ROUTER, on_fault: Callable[[Arrived, Exception], None] = lambda arrived, error: None
) -> Deciding:
    return Deciding(router, ManualClock(), on_fault)


def message(payload: bytes = b'{"score": 1}', **headers: bytes) -> Arrived:
    ours = {
        "ce_specversion": b"1.0",
        "ce_id": b"m",
        "ce_source": b"/t",
        "ce_type": b"lead.scored",
        "ce_workflowid": b"w",
        **headers,
    }
    return Arrived(Record(topic="agent_messages", key=b"w", value=payload, headers=ours, partition=0, offset=1), 1)


def topics(records: Concluded | Question) -> list[str]:
    assert isinstance(records, list)
    return [record.topic for record in records]


def question(arrived: Arrived) -> Question:
    begun = deciding().begin(arrived)
    assert isinstance(begun, Question)
    return begun


def test_a_terminal_message_completes_at_once() -> None:
    assert topics(deciding().begin(message(ce_type=b"mail.sent"))) == ["agent_decisions", "workflow_state"]


def test_bytes_that_are_no_message_are_rejected_with_their_reason() -> None:
    begun = deciding().begin(message(b"junk"))

    assert topics(begun) == ["agent_errors", "agent_decisions"]
    assert isinstance(begun, list)
    assert begun[0].headers["x_error_reason"] == b"invalid_json"


def test_the_models_choice_routes() -> None:
    answer = ChatAnswer(
        content={"agent": "warm", "reason": "r"}, raw="{}", model="m", input_tokens=1, output_tokens=1, latency_ms=1
    )

    assert topics(question(message()).conclude(answer)) == ["agents.warm.inbox", "agent_decisions", "workflow_state"]


@pytest.mark.parametrize("error", [ModelUnavailableError("down"), TimeoutError(), ValueError(SECRET)])
def test_a_model_that_fails_means_a_person_decides(error: Exception) -> None:
    records = question(message()).conclude(error)

    assert isinstance(records, list)
    assert topics(records) == ["agent_escalations", "agent_decisions", "workflow_state"]
    assert not any(SECRET in str(record.headers) for record in records)


def test_a_defect_of_the_router_is_a_dead_letter_that_quotes_nothing() -> None:
    seen: list[Exception] = []

    (letter,) = deciding(BrokenRouter(), lambda arrived, error: seen.append(error)).begin(
        message(b'{"score": "%s"}' % SECRET.encode())
    )  # type: ignore[misc]

    assert letter.topic == "agent_errors"
    assert letter.headers["x_error_reason"] == b"agent_fault"
    assert SECRET.encode() not in b"".join(letter.headers.values())
    assert [type(error) for error in seen] == [KeyError]


@given(
    value=st.none()
    | st.binary(max_size=60)
    | st.recursive(
        st.none() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3), max_leaves=5
    ).map(lambda each: str(each).encode(errors="replace")),
    headers=st.dictionaries(
        st.sampled_from(["ce_specversion", "ce_id", "ce_type", "ce_time", "ce_hop", "ce_deadline", "x"]),
        st.binary(max_size=12),
    ),
    timestamp_ms=st.integers(-(2**62), 2**62),
)
def test_no_record_whatever_makes_it_raise(value: bytes | None, headers: dict[str, bytes], timestamp_ms: int) -> None:
    base = message(b"{}", **headers)
    record = Record(
        topic="t", key=None, value=value, headers=base.record.headers, partition=0, offset=0, timestamp_ms=timestamp_ms
    )

    begun = deciding().begin(Arrived(record, 1))

    assert isinstance(begun, Question) or begun


class Chooser:
    """A local model that is always sure of one agent, or fails."""

    version = "v1"

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def choose(self, event_type: str, payload: Payload, agents: Sequence[str]) -> LocalChoice | None:
        if self.error:
            raise self.error
        return LocalChoice(agent="cold", confidence=0.9, threshold=0.8)


def stand_in(chooser: Chooser | None, seen: list[Exception]) -> Concluded | None:
    router = Router(ROUTER.catalog, None, chooser)
    begun = deciding(router, lambda arrived, error: seen.append(error)).begin(message())
    assert isinstance(begun, Question)
    return begun.stand_in()


def test_the_local_model_stands_in_while_no_model_answers() -> None:
    records = stand_in(Chooser(), [])
    assert records is not None
    assert not isinstance(records, Question)
    assert topics(records) == ["agents.cold.inbox", "agent_decisions", "workflow_state"]
    assert stand_in(None, []) is None


def test_a_local_model_that_fails_is_reported_and_the_message_waits() -> None:
    seen: list[Exception] = []
    assert stand_in(Chooser(KeyError(SECRET)), seen) is None
    assert [type(error) for error in seen] == [KeyError]
