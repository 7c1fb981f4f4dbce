"""Values as Avro beside Flink's own thread: nothing here waits for the schema registry."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import lru_cache
from typing import Final

from pointsman.avro.codec import PayloadCodec
from pointsman.avro.framing import schema_id
from pointsman.envelope import Record
from pointsman.errors import PointsmanError

_MOST_REMEMBERED: Final = 1_000
ASK_AGAIN_S: Final = 1.0
"""How long after a registry that did not answer it is asked again."""

_log: Final = logging.getLogger(__name__)


class Values:
    """Reads and writes Avro with the schemas that are known, and has the registry asked for the others.

    Args:
        codec: reads and writes; None where no registry is configured.
        executor: asks the registry; the process's own when left out.
        clock: seconds, by a clock that never goes back.
    """

    def __init__(
        self,
        codec: PayloadCodec | None,
        executor: Executor | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._codec = codec
        self._executor = executor
        self._clock = clock
        self._asked: dict[int | str, Future[None]] = {}
        self._not_before: dict[int | str, float] = {}

    def readable(self, record: Record) -> Record | None:
        """`record` with its payload, or with why it has none; None as long as its schema is not known."""
        codec = self._codec
        if codec is None:
            return record
        known = codec.readable_now(record)
        if known is None:
            self._ask(schema_id(record.value or b"") or 0, lambda: codec.fetch(record))
        return known

    def written(self, record: Record) -> Record:
        """`record` as Avro; as JSON, which every reader takes too, as long as its schema is not known."""
        codec = self._codec
        if codec is None:
            return record
        known = codec.written_now(record)
        if known is None:
            self._ask(record.headers.get("ce_type", b"").decode(errors="replace"), lambda: codec.fetch_latest(record))
        return known or record

    def _ask(self, what: int | str, ask: Callable[[], None]) -> None:
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

    def _note(self, what: int | str, error: BaseException | None) -> None:
        if error is None:
            return
        problem = str(error) if isinstance(error, PointsmanError) else type(error).__name__
        _log.warning("no schema for %s yet, messages wait: %s", what, problem)
        self._not_before[what] = self._clock() + ASK_AGAIN_S


@lru_cache(maxsize=1)
def _executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max_workers=2, thread_name_prefix="schema-registry")
