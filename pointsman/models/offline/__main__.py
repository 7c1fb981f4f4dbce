"""`python -m pointsman.models.offline --port N`: serve until told to stop."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys

from pointsman.models.offline.faults import Faults
from pointsman.models.offline.server import NOTICE, start


def main() -> int:
    """Run the server; 3 when the port is taken."""
    parser = argparse.ArgumentParser(prog="python -m pointsman.models.offline", description=NOTICE)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: the system chooses, and the first lines say which")
    parser.add_argument("--latency-ms", type=float, default=0.0, help="milliseconds before every answer")
    arguments = parser.parse_args()
    try:
        asyncio.run(_serve(arguments.host, arguments.port, arguments.latency_ms))
    except OSError as error:
        sys.stderr.write(
            f"cannot listen on {arguments.host}:{arguments.port}: {error.strerror}; choose another --port\n"
        )
        return 3
    return 0


async def _serve(host: str, port: int, latency_ms: float) -> None:
    runner, listening = await start(host, port, Faults(latency_ms=latency_ms))
    sys.stdout.write(f"{NOTICE}\nlistening on http://{host}:{listening}/v1\n")
    sys.stdout.flush()
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for stop in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(stop, stopped.set)
    await stopped.wait()
    await runner.cleanup()


if __name__ == "__main__":
    sys.exit(main())
