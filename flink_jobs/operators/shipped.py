"""Makes a worker run the code that came with its job.

In thread mode Python lives as long as the TaskManager, and so do the modules it has imported: a second job, or a new
version of the same one, would silently run the code of the first. What is pickled here by value looks first.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cloudpickle  # type: ignore[import-untyped]  # comes with apache-flink, has no hints


def with_own_code(make: Callable[..., Any], *arguments: Any) -> tuple[Callable[[bytes], Any], tuple[bytes]]:
    """What an operator's `__reduce__` answers: unpickled, it is `make(*arguments)` with the modules of its own job."""
    return _loader(), (cloudpickle.dumps((make, arguments)),)


def _loader() -> Callable[[bytes], Any]:
    # Nested, with imports inside: only so does cloudpickle take the code along instead of a name to import.
    def load(pickled: bytes) -> Any:
        import pickle
        import sys
        from pathlib import Path

        def archive(path: str) -> str:
            # A restart unpacks the same archive elsewhere; below this folder its name, with a hash in it, is the same.
            return path.rpartition("python-files")[2]

        shipped = next((path for path in sys.path if (Path(path) / "flink_jobs" / "__init__.py").is_file()), None)
        loaded = sys.modules.get("flink_jobs")
        if shipped and loaded and loaded.__file__:
            before, now = archive(loaded.__file__), archive(str(Path(shipped) / "flink_jobs" / "__init__.py"))
            if before != now:
                for name in [name for name in sys.modules if name.partition(".")[0] in {"flink_jobs", "pointsman"}]:
                    del sys.modules[name]
        make, arguments = pickle.loads(pickled)  # nosec B301  # noqa: S301 (it came with the job, as this function did)
        return make(*arguments)

    return load
