"""Values beside Flink's own thread: nothing here waits for the schema registry, nor for the store of the keys."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Final

from pointsman.avro.codec import PayloadCodec
from pointsman.avro.framing import schema_id
from pointsman.envelope import Record
from pointsman.errors import ErasedError, PointsmanError, StoreUnavailableError
from pointsman.shredding.cache import Sealing
from pointsman.shredding.decisions import with_hidden_words, without_words
from pointsman.shredding.sealing import is_sealed, workflow_of
from pointsman.shredding.values import with_payload

_MOST_REMEMBERED: Final = 1_000
ASK_AGAIN_S: Final = 1.0
"""How long after a registry that did not answer it is asked again."""

_What = int | str | bytes
"""What is asked for: a schema by its id, the newest schema of a type, the key of a workflow."""

_log: Final = logging.getLogger(__name__)


class Values:
    """Reads and writes with the schemas and keys that are known, and has the others asked for.

    Args:
        codec: reads and writes Avro; None where no registry is configured.
        executor: asks; the process's own when left out.
        clock: seconds, by a clock that never goes back.
        sealing: opens and seals; None where values are not encrypted.
    """

    def __init__(
        self,
        codec: PayloadCodec | None,
        executor: Executor | None = None,
        clock: Callable[[], float] = time.monotonic,
        sealing: Sealing | None = None,
    ) -> None:
        self._codec = codec
        self._sealing = sealing
        self._executor = executor
        self._clock = clock
        self._asked: dict[_What, Future[None]] = {}
        self._not_before: dict[_What, float] = {}

    def is_ready(self, record: Record) -> bool:
        """Whether the key of its workflow is at hand, so that `record` and what comes of it can be read and written."""
        sealing = self._sealing
        if sealing is None or sealing.has_key(record):
            return True
        self._ask(workflow_of(record) or b"", lambda: sealing.fetch(record))
        return False

    def readable(self, record: Record) -> Record | None:
        """`record` with its payload, or with why it has none; None as long as its schema or its key is not known."""
        if not self.is_ready(record):
            return None
        if self._sealing is None or not is_sealed(record.value):
            return self._avro(record)
        plain = self._sealing.opened(record)
        if not isinstance(plain, bytes):
            return None if plain is None else replace(record, decoded=plain)
        if self._avro(replace(record, value=plain)) is None:
            return None
        return with_payload(record, plain, self._codec)

    def _avro(self, record: Record) -> Record | None:
        codec = self._codec
        if codec is None:
            return record
        known = codec.readable_now(record)
        if known is None:
            self._ask(schema_id(record.value or b"") or 0, lambda: codec.fetch(record))
        return known

    def all_written(self, records: Sequence[Record]) -> list[Record]:
        """`records` as they may lie on their topics; `is_ready` must hold for the message that they come of.

        What belongs to an erased workflow, and is not encrypted already, is left out.

        Raises:
            StoreUnavailableError: the process stood still for so long that the key is old; a restart fetches it again.
        """
        if self._sealing is None or not self._sealing.is_writing:
            return [self.written(record) for record in records]
        written = []
        for record in with_hidden_words(records, self._sealed):
            with suppress(ErasedError):
                written.append(self._sealed(record))
        return written

    def beside(self, records: Iterable[Record]) -> Iterator[Record]:
        """Records of the log about what a rollout's candidate would do: where values are encrypted, without quotes."""
        is_writing = self._sealing is not None and self._sealing.is_writing
        return map(without_words, records) if is_writing else iter(records)

    def _sealed(self, record: Record) -> Record:
        if self._sealing is None or is_sealed(record.value):
            return self.written(record)
        sealed = self._sealing.sealed(self.written(record))
        if sealed is None:
            raise StoreUnavailableError("a data key became old between two looks at it")
        return sealed

    def written(self, record: Record) -> Record:
        """`record` as Avro; as JSON, which every reader takes too, as long as its schema is not known."""
        codec = self._codec
        if codec is None:
            return record
        known = codec.written_now(record)
        if known is None:
            self._ask(record.headers.get("ce_type", b"").decode(errors="replace"), lambda: codec.fetch_latest(record))
        return known or record

    def _ask(self, what: _What, ask: Callable[[], None]) -> None:
        self._forget_old()
        under_way = self._asked.get(what)
        if under_way is not None:
            if not under_way.done():
                return
            del self._asked[what]
            self._note(what, under_way.exception())
        if self._clock() >= self._not_before.get(what, 0.0):
            self._not_before.pop(what, None)
            self._asked[what] = (self._executor or _executor()).submit(ask)

    def _forget_old(self) -> None:
        # Anybody may write any id.
        if len(self._asked) > _MOST_REMEMBERED:
            self._asked = {what: asked for what, asked in self._asked.items() if not asked.done()}
        if len(self._not_before) > _MOST_REMEMBERED:
            self._not_before.clear()

    def _note(self, what: _What, error: BaseException | None) -> None:
        if error is None:
            return
        problem = str(error) if isinstance(error, PointsmanError) else type(error).__name__
        about = "key" if isinstance(what, bytes) else f"schema for {what}"
        _log.warning("no %s yet, messages wait: %s", about, problem)
        self._not_before[what] = self._clock() + ASK_AGAIN_S


@lru_cache(maxsize=1)
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=4, thread_name_prefix="values")
