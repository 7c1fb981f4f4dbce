"""A real Prometheus reads every process of the stack; alerts and dashboards speak of metrics that exist."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.e2e.system import System, hot_lead
from tests.prometheus import CONFIG, DASHBOARDS, expressions, metrics_in, prometheus
from tests.witness import eventually

DASHBOARD = DASHBOARDS / "pointsman.json"
AGENTS = {"active_outreach", "lead_ingestion", "lead_scoring", "nurture_campaign", "send_email"}
PROGRAMS = {"jobmanager", "taskmanager-1", "router", "system", "console", *(f"agent/{agent}" for agent in AGENTS)}


def test_every_process_is_read_and_every_query_asks_for_what_exists(system: System, tmp_path: Path) -> None:
    with prometheus(system.data_dir / "run" / "metrics", tmp_path) as server:
        eventually(
            lambda: {target.split()[0] for target, health in server.targets().items() if health == "up"} >= PROGRAMS,
            what="all targets being up",
        )
        workflow, address = system.insert(hot_lead())
        system.witness.write("agent_messages", b"no message", key=b"k")
        eventually(lambda: system.mails_to(address), within_s=60, what="a mail to the lead")
        eventually(lambda: system.outcomes(workflow)[-1:] == ["completed"], what="the workflow's completion")
        eventually(
            lambda: (
                server.value('sum(pointsman_decisions_total{outcome="completed"})') >= 1
                and server.value('pointsman_dead_letters_open{stage="router",reason="not_a_message"}') >= 1
                and server.value('pointsman_effects_ledger{state="sent"}') >= 1
            ),
            what="what happened in Prometheus",
        )
        assert server.value('sum(pointsman_decisions_total{method="model",agent="active_outreach"})') >= 1
        assert server.value('sum(pointsman_effects_total{agent="send_email",state="sent"})') >= 1
        assert server.value('sum(pointsman_gen_ai_client_token_usage_sum{type="input"})') > 0
        assert server.value("max(flink_jobmanager_job_numberOfCompletedCheckpoints)") > 0
        # A broker that does not answer in time leaves the lag out until it is asked again.
        eventually(
            lambda: {row["metric"]["consumer"] for row in server.query("pointsman_consumer_lag")} >= AGENTS,
            what="the lag of every agent",
        )

        asked = [*expressions(DASHBOARD), *(rule["query"] for rule in server.rules())]
        assert len(server.rules()) == 14
        known = server.known()
        assert sorted({name for text in asked for name in metrics_in(text)} - known) == []
        for text in asked:
            server.query(text)  # a query that does not parse raises
        labels = {value for row in server.query('{__name__=~"pointsman_.+"}') for value in row["metric"].values()}
        assert not {label for label in labels if workflow in label or "@" in label}


def test_status_says_where_the_metrics_are(system: System) -> None:
    rows = {row.name: row for row in system.stack.status()}
    assert {len(rows[name].metrics) for name in rows if name.startswith("agent-")} == {1}
    assert (len(rows["taskmanager-1"].metrics), len(rows["jobmanager"].metrics)) == (2, 1)


def test_alerts_fire_when_they_should_and_at_nothing_else() -> None:
    for arguments in (["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(["promtool", *arguments], cwd=CONFIG, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
