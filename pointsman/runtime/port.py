"""The port between the loop and Kafka: records come in, results and positions go out in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from pointsman.envelope import Record
from pointsman.errors import TransientError


class TransactionAbortedError(TransientError):
    """Nothing of the transaction is visible; the same commit may be tried again."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Position:
    """How far one partition of the inbox is done.

    Attributes:
        partition: its number.
        offset: first offset that is not done; None when nothing was committed yet.
        metadata: what is done beyond it, as `pointsman.runtime.offsets` writes it.
    """

    partition: int
    offset: int | None
    metadata: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class PartitionEnd:
    """The inbox has nothing more in this partition for now.

    Attributes:
        partition: its number.
        offset: where the next record will be, or later.
    """

    partition: int
    offset: int


class PartitionListener(Protocol):
    """Hears which partitions are ours; called from inside `Inbox.poll` and `Inbox.close`."""

    def assigned(self, positions: Sequence[Position]) -> None:
        """These partitions are ours from now on; reading starts at their positions."""
        ...

    def revoked(self, partitions: Sequence[int]) -> None:
        """These are ours until this call returns: the last chance to commit."""
        ...

    def lost(self, partitions: Sequence[int]) -> None:
        """These are somebody else's already."""
        ...


class Inbox(Protocol):
    """One agent instance's inbox and outlet. All methods belong to one thread."""

    def open(self, listener: PartitionListener) -> None:
        """Join the group.

        Raises:
            BrokerUnavailableError: Kafka does not answer yet; may be tried again.
            ConfigurationError: forbidden.
        """
        ...

    def poll(self, timeout_s: float) -> Record | PartitionEnd | None:
        """The next record, or the news that there is none, or None after `timeout_s` without either.

        Raises:
            PointsmanError: the consumer is of no use any more: the process must start anew.
        """
        ...

    def pause(self, partitions: Sequence[int]) -> None:
        """Deliver nothing from these partitions until `resume`."""
        ...

    def resume(self, partitions: Sequence[int]) -> None:
        """Deliver from these partitions again."""
        ...

    def commit(self, records: Sequence[Record], positions: Sequence[Position]) -> None:
        """Write `records` and `positions` in one transaction.

        Raises:
            TransactionAbortedError: nothing was written; try again later.
            PointsmanError: the producer is of no use any more: the process must start anew.
        """
        ...

    def close(self) -> None:
        """Leave the group."""
        ...
