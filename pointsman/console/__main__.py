"""`python -m pointsman.console`: serve the console."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime
from urllib.parse import urlsplit

import structlog
import uvicorn
from fastapi import FastAPI

from pointsman.console.access import Access
from pointsman.console.desk import Desk, KafkaTopics
from pointsman.console.hashing import outdated
from pointsman.console.health import HealthWatch, RealCluster
from pointsman.console.keys import LocalKeys, local_keys
from pointsman.console.reading import KafkaFeed
from pointsman.console.rollout_watch import RolloutWatch
from pointsman.console.server import Feed, create_app
from pointsman.console.sso import SingleSignOn, SsoOptions
from pointsman.console.view import View
from pointsman.deadletter_work import KafkaDeadLetterTopics
from pointsman.errors import ConfigurationError
from pointsman.logging import configure_logging
from pointsman.publish import KafkaCatalogTopic
from pointsman.rollouts.topic import KafkaRolloutTopic
from pointsman.settings import Settings, settings
from pointsman.stores import open_store
from pointsman.telemetry import Telemetry
from pointsman.telemetry.spans import Spans
from pointsman.unsubscribe_http import stored_unsubscriptions

_log = structlog.get_logger(__name__)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m pointsman.console", description="The console and the lead form.")
    parser.add_argument("--port", type=int, default=18000)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    given = parser.parse_args()
    try:
        known = settings()
        configure_logging(known.log_level)
        telemetry = Telemetry.of(known, "console")
        app = application(known, telemetry.spans)
    except ConfigurationError as error:
        sys.exit(f"pointsman.console: {error}")
    try:
        serve(app, known, host=given.host, port=given.port)
    finally:
        telemetry.close()


def serve(app: FastAPI, known: Settings, *, host: str, port: int) -> None:
    """Serve `app` until SIGTERM or SIGINT."""
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(known.console_trusted_proxies),
        forwarded_allow_ips=known.console_trusted_proxies,
        # Pages hold a stream open for as long as they are shown; they find the next process by themselves.
        timeout_graceful_shutdown=2,
    )


def application(known: Settings, spans: Spans) -> FastAPI:
    """The application as the settings describe it.

    Args:
        known: the settings.
        spans: traces of leads that come in here.

    Raises:
        ConfigurationError: a setting does not fit.
    """
    local = local_keys(known.data_dir)
    provider = SsoOptions.of(known)
    access = _access(known, local, provider)
    keys = {name: key.get_secret_value() for name, key in {**known.leads_api_keys, **local.leads_api_keys}.items()}
    view = View()
    store = open_store(known)
    watch = HealthWatch(RealCluster(known.kafka_bootstrap, known.flink_url), lambda: view.catalog.definitions)
    desk = Desk(
        view=view,
        watch=watch,
        access=access,
        store=store,
        topics=KafkaTopics(bootstrap=known.kafka_bootstrap),
        catalog=KafkaCatalogTopic(known.kafka_bootstrap),
        letters=KafkaDeadLetterTopics(known.kafka_bootstrap),
        now=_now,
        api_keys=keys,
        sso=SingleSignOn(provider) if provider else None,
        spans=spans,
        flink_url=known.flink_url if urlsplit(known.flink_url).scheme in {"http", "https"} else "",
    )
    rollouts = RolloutWatch(view, KafkaRolloutTopic(known.kafka_bootstrap), _now)
    feeds: list[Feed] = [KafkaFeed.of(view, known.kafka_bootstrap), watch, rollouts]
    return create_app(desk, feeds, hosts=known.console_hosts, routers=[stored_unsubscriptions(store, known)])


def _access(known: Settings, local: LocalKeys, provider: SsoOptions | None) -> Access:
    if not (known.console_accounts or local.has_link or provider):
        _log.warning(
            "nobody may log in to the console: set POINTSMAN_CONSOLE_ACCOUNTS or POINTSMAN_CONSOLE_OIDC_ISSUER"
        )
    # The link of a local stack is signed with the local one.
    secret = local.session_secret if local.has_link else known.console_session_secret
    if secret is None:
        _log.warning("sessions end with this process: set POINTSMAN_CONSOLE_SESSION_SECRET")
    if old := outdated(known.console_accounts):
        _log.warning("hashes of keys were made with other parameters: make these accounts anew", accounts=len(old))
    return Access(
        known.console_accounts,
        _now,
        secret=secret.get_secret_value() if secret else None,
        owner=local.owner if local.has_link else None,
        sso=provider.fingerprint() if provider else None,
    )


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    main()
