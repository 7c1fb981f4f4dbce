"""What a gone receiver of traces changes for the whole loop: leads per minute from insert to mail, at saturation.

    python bench/telemetry_loop.py --rounds 3 --out bench/results/telemetry-loop.json

Each round is `bench/loop.py` on a stack of its own; the variants take turns. `answers` sends spans to a receiver that
takes them, `gone` to a port where nobody listens, `off` sends none. Leads are offered faster than the loop takes them,
so that leads per minute are what it can do. Ratios are of medians.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
NOBODY: Final = "http://127.0.0.1:1"


def main() -> None:
    """Measure every variant in turn and print the result as JSON."""
    options = _options()
    runs: dict[str, list[float]] = {"answers": [], "gone": [], "off": []}
    with _receiver() as endpoint:
        endpoints = {"answers": endpoint, "gone": NOBODY, "off": ""}
        for number in range(options.rounds * len(runs)):
            variant = list(runs)[number % len(runs)]
            runs[variant].append(_leads_per_minute(endpoints[variant], options))
            sys.stderr.write(f"{variant}: {runs[variant][-1]:.0f} leads/min\n")
    medians = {variant: statistics.median(found) for variant, found in runs.items()}
    result = {
        "leads": options.leads, "offered_per_s": options.rate, "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(), "leads_per_minute": runs, "median": medians,
        "gone_to_answers": round(medians["gone"] / medians["answers"], 3),
        "gone_to_off": round(medians["gone"] / medians["off"], 3),
    }  # fmt: skip
    text = json.dumps(result, indent=2)
    sys.stdout.write(text + "\n")
    if options.out:
        options.out.write_text(text + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--leads", type=int, default=300)
    parser.add_argument("--rate", type=float, default=20.0, help="leads offered per second")
    parser.add_argument("--out", type=Path)
    return parser.parse_args()


def _leads_per_minute(endpoint: str, options: argparse.Namespace) -> float:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    environment.pop("OTEL_EXPORTER_OTLP_ENDPOINT", None)
    if endpoint:
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = endpoint
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as folder:
        out = Path(folder) / "run.json"
        loop = [sys.executable, str(ROOT / "bench" / "loop.py"), "--out", str(out)]
        command = [*loop, "--leads", str(options.leads), "--rate", str(options.rate)]
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)  # noqa: S603 - our own program
        run: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    if run["lost"] or run["twice"]:
        sys.exit("void: a lead was lost or came twice")
    return float(run["leads_per_minute"])


@contextmanager
def _receiver() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Taking)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


class _Taking(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


if __name__ == "__main__":
    main()
