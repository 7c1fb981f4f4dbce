"""`python -m pointsman.console`: serve the page."""

from __future__ import annotations

import argparse
import sys

import uvicorn

from pointsman.console.mailbox import Mailbox
from pointsman.console.reading import KafkaFeed
from pointsman.console.server import create_app
from pointsman.console.view import View
from pointsman.errors import ConfigurationError
from pointsman.logging import configure_logging
from pointsman.settings import settings
from pointsman.store import MongoStore
from pointsman.telemetry import Telemetry
from pointsman.unsubscribe_http import stored_unsubscriptions

_LOOPBACK = ("127.0.0.1", "localhost")


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m pointsman.console", description="The page: leads, mails, agents.")
    parser.add_argument("--port", type=int, default=18000)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; the page has no login")
    given = parser.parse_args()
    try:
        known = settings()
        configure_logging(known.log_level)
        telemetry = Telemetry.of(known, "console")
        view = View()
        hosts = _LOOPBACK if given.host in _LOOPBACK else ("*",)
        store = MongoStore(known.mongodb_uri.get_secret_value(), known.mongodb_database)
        app = create_app(
            view,
            Mailbox(known.data_dir / "mailbox"),
            KafkaFeed.of(view, known.kafka_bootstrap),
            flink_url=known.flink_url,
            hosts=hosts,
            routers=[stored_unsubscriptions(store, known)],
        )
    except ConfigurationError as error:
        sys.exit(f"pointsman.console: {error}")
    try:
        uvicorn.run(app, host=given.host, port=given.port, log_config=None, access_log=False, server_header=False)
    finally:
        telemetry.close()


if __name__ == "__main__":
    main()
