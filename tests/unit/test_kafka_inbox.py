"""An agent's inbox while nobody answers where the broker was."""

from __future__ import annotations

import socket
from contextlib import closing

import pytest

from pointsman.envelope import Record
from pointsman.errors import PointsmanError
from pointsman.kafka import inbox as module
from pointsman.kafka.inbox import KafkaInbox
from pointsman.runtime.port import TransactionAbortedError
from tests.witness import eventually

ANSWER = Record(topic="agent_messages", key=b"w", value=b"{}", headers={})


@pytest.fixture
def nobody() -> str:
    """An address where nobody listens."""
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return f"127.0.0.1:{port}"


def is_put_off(inbox: KafkaInbox) -> bool:
    """Whether a transaction is refused such that it may be tried again; another error: nothing was heard of yet."""
    try:
        inbox.commit([ANSWER], [])
    except TransactionAbortedError:
        return True
    except PointsmanError:
        return False
    raise AssertionError("nobody can have taken it")


def test_while_kafka_is_away_a_transaction_is_put_off_and_the_process_lives_on(
    nobody: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_JOIN_TIMEOUT_S", 0.1)
    with closing(KafkaInbox(nobody, "patient", "1")) as inbox:
        eventually(lambda: is_put_off(inbox), within_s=20, what="a transaction that is put off")
        assert is_put_off(inbox)
