"""What a lead's own site says becomes a fact of its profile; a site that is down is a missing fact."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.e2e.system import System, hot_lead
from tests.witness import eventually

PAGE = b"""<html><head><title>Northwind Wholesale</title>
<meta name="description" content="Cold chain wholesale from nine depots since 1931."></head><body></body></html>"""


class Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test's output is for the test."""


@pytest.fixture
def site() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def facts_of(system: System, workflow: str) -> list[dict[str, str]]:
    profiled = eventually(
        lambda: [seen for seen in system.messages(workflow) if seen.type == "lead.profiled"], within_s=60,
        what="a profile",
    )  # fmt: skip
    facts: list[dict[str, str]] = profiled[0].json()["facts"]
    return facts


def test_the_site_of_a_lead_adds_to_its_facts(system: System, site: str) -> None:
    with system.edited_definitions() as folder:
        path = folder / "lead_ingestion.yaml"
        text = path.read_text()
        assert "website_also_allow: []" in text
        path.write_text(text.replace("website_also_allow: []", f"website_also_allow: ['{site}']"))
        system.cli("agents", "apply", str(folder))
        system.wait_for_definition("lead_ingestion")
        workflow, _ = system.insert({**hot_lead(), "website": f"http://{site}/"})
        facts = facts_of(system, workflow)
    assert any("nine depots" in fact["fact"] and "site" in fact["source"] for fact in facts), facts


def test_a_site_on_this_machine_is_not_fetched_unless_it_is_allowed(system: System, site: str) -> None:
    workflow, recipient = system.insert({**hot_lead(), "website": f"http://{site}/"})
    assert not any("nine depots" in fact["fact"] for fact in facts_of(system, workflow))
    eventually(lambda: system.mails_to(recipient), within_s=60, what="a mail all the same")
