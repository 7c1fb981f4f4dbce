"""What docs/operations.md says of spans and metrics is what the code writes."""

from __future__ import annotations

import json
import re
from pathlib import Path

from prometheus_client import CollectorRegistry
from ruamel.yaml import YAML

from pointsman.telemetry import names
from pointsman.telemetry.metrics import PREFIX, Metrics
from pointsman.telemetry.system_metrics import SystemMetrics

ROOT = Path(__file__).parents[2]
SECTION = (
    (ROOT / "docs" / "operations.md").read_text().partition("## Traces, metrics, logs, alerts")[2].partition("\n## ")[0]
)
DRAWN = re.compile(rf"\b{PREFIX}_[a-z_]+")
FORBIDDEN = {"id", "key", "lead", "email", "address", "workflow", "workflow_id", "message_id", "subject"}


def shown() -> dict[str, tuple[str, ...]]:
    """Every metric as Prometheus knows it, and its labels."""
    metrics = Metrics()
    instruments = [each for each in vars(metrics).values() if hasattr(each, "_labelnames")]
    found = {
        f"{each._name}{'_total' if each._type == 'counter' else ''}": tuple(each._labelnames) for each in instruments
    }
    registry = CollectorRegistry()
    registry.register(SystemMetrics())
    return found | {family.name: tuple(getattr(family, "_labelnames", ())) for family in registry.collect()}


def test_the_table_of_metrics_is_complete_and_names_their_labels() -> None:
    rows = dict(re.findall(rf"^\| `({PREFIX}_\w+)` \| (.*?) \|", SECTION, re.MULTILINE))
    assert {name: tuple(re.findall(r"`(\w+)`", labels)) for name, labels in rows.items()} == shown()


def test_no_label_names_a_person_or_a_message() -> None:
    assert {label for labels in shown().values() for label in labels} & FORBIDDEN == set()


def test_dashboard_and_alerts_ask_for_metrics_of_the_table() -> None:
    known = {re.sub(r"_total$", "", name) for name in shown()}
    for file in (
        ROOT / "docker" / "grafana" / "dashboards" / "pointsman.json",
        ROOT / "docker" / "prometheus" / "alerts.yml",
    ):
        asked = {re.sub(r"_(total|bucket|count|sum)$", "", name) for name in DRAWN.findall(file.read_text())}
        assert asked
        assert sorted(asked - known) == []


def test_our_own_attributes_are_in_the_table_of_spans() -> None:
    own = {value for name, value in vars(names).items() if name.startswith("APP_")}
    assert own
    assert sorted(own - set(re.findall(r"`(app\.[a-z_.]+)`", SECTION))) == []


def test_prometheus_reads_every_process_of_the_compose_file() -> None:
    services = YAML(typ="safe").load(ROOT / "docker" / "compose.yaml")["services"]
    targets = json.loads((ROOT / "docker" / "prometheus" / "targets" / "compose.json").read_text())
    named = {address.partition(":")[0] for group in targets for address in group["targets"]}
    working = {name for name in services if name.startswith("agent-")}
    assert named == working | {"console", "metrics", "taskmanager", "jobmanager"}
    ports = {address.partition(":")[2] for group in targets for address in group["targets"]}
    assert ports == {services["metrics"]["environment"]["POINTSMAN_METRICS_PORT"], "9249"}
