"""The chart's own data against the code. What Helm makes of its templates is checked by `make check-deploy`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from ruamel.yaml import YAML

from pointsman.archive.options import ARCHIVED, ArchiveOptions
from pointsman.contracts import Contract
from pointsman.definitions.loader import load_folder_or_raise
from pointsman.deployment import (
    OPERATOR,
    ROUTER,
    Acl,
    agent_acls,
    agent_users,
    archive_acls,
    connect_acls,
    helm_values,
    kafka_users,
    operator_acls,
    router_acls,
)
from pointsman.flink_login import INSIDE_FLINKS_JAR
from pointsman.job_options import JobOptions
from pointsman.kafka.users import bindings
from pointsman.settings import Settings
from pointsman.topics import DECISIONS, ERRORS, ESCALATIONS, MESSAGES, inbox
from tests.command_tree import commands, options

if TYPE_CHECKING:
    pass

ROOT = Path(__file__).parents[2]
CHART = ROOT / "docker" / "helm" / "pointsman"


def yaml(name: str) -> dict[str, Any]:
    found: dict[str, Any] = YAML(typ="safe").load(CHART / name)
    return found


def test_the_committed_catalog_is_not_stale() -> None:
    definitions = load_folder_or_raise(ROOT / "agent_definitions").definitions
    message = "write it anew: `pointsman agents helm-values > docker/helm/pointsman/catalog.yaml`"
    assert yaml("catalog.yaml") == helm_values(definitions), message


def test_the_chart_and_the_secure_local_stack_have_the_same_users_with_the_same_rights() -> None:
    definitions = load_folder_or_raise(ROOT / "agent_definitions").definitions
    chart = {user["name"]: user["acls"] for user in yaml("catalog.yaml")["users"]}
    local = {**kafka_users(), **agent_users(one.name for one in definitions)}
    assert set(chart) == set(local)
    for name, acls in local.items():
        told = [Acl(**{**acl, "operations": tuple(acl["operations"])}) for acl in chart[name]]
        assert bindings(name, told) == bindings(name, acls), name


def test_the_connector_is_told_what_the_local_one_is_told() -> None:
    message = "copy connectors/leads_source.json to docker/helm/pointsman"
    assert (CHART / "leads_source.json").read_text() == (ROOT / "connectors/leads_source.json").read_text(), message


def test_the_default_values_keep_their_schema_and_a_misspelt_one_does_not() -> None:
    schema = Contract(json.loads((CHART / "values.schema.json").read_text()))
    values = yaml("values.yaml")
    assert schema.violation(values) is None
    assert schema.violation({**values, "autoscalling": {}})
    assert schema.violation({**values, "router": {**values["router"], "upgradeMode": "stateless"}})


def test_the_schema_names_every_value() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())["properties"]
    for name, value in yaml("values.yaml").items():
        if isinstance(value, dict) and "properties" in schema[name]:
            assert set(value) == set(schema[name]["properties"]), name


def test_the_job_is_told_options_that_it_knows() -> None:
    text = (CHART / "templates" / "router.yaml").read_text()
    told = re.findall(r"^      - (--[a-z-]+=)(\S.*)$", text, re.MULTILINE)
    router = YAML().load((CHART / "values.yaml").read_text())["router"]
    filled = {"{{ .Values.router.delivery }}": router["delivery"]}
    arguments = [f"{name}{filled.get(value, '1' if '{{' in value else value)}" for name, value in told]
    assert JobOptions.parse(arguments).kafka_security_protocol == "SASL_SSL"


def test_the_archive_job_is_told_options_that_it_knows() -> None:
    text = (CHART / "templates" / "archive.yaml").read_text()
    told = re.findall(r"^      - (--[a-z-]+=)(\S.*)$", text, re.MULTILINE)
    arguments = [f"{name}{'1' if '{{' in value else value}" for name, value in told]
    assert ArchiveOptions.parse(arguments).kafka_security_protocol == "SASL_SSL"


def test_the_archive_job_only_reads_and_only_what_it_keeps() -> None:
    acls = archive_acls()
    assert {acl.name for acl in acls if acl.type == "topic"} == set(ARCHIVED)
    assert not any("Write" in acl.operations for acl in acls)


def test_no_secret_stands_in_the_values() -> None:
    words = re.compile(r"(password|secret|apikey|token)$", re.IGNORECASE)
    named = re.findall(r"^\s*(\w+):", (CHART / "values.yaml").read_text(), re.MULTILINE)
    assert {name for name in named if words.search(name)} == {"existingSecret"}


def test_an_agent_reads_no_other_inbox_and_writes_no_decision() -> None:
    acls = agent_acls("lead_scoring")
    readable = {acl.name for acl in acls if acl.type == "topic" and "Read" in acl.operations}
    writable = {acl.name for acl in acls if acl.type == "topic" and "Write" in acl.operations}
    assert {name for name in readable if name.startswith("agents.")} == {
        inbox("lead_scoring"),
        "agents.lead_scoring.v",  # how the inboxes of its versions begin; no agent's name holds a dot
    }
    assert writable == {MESSAGES, ERRORS, ESCALATIONS}
    assert DECISIONS not in readable
    prefixes = {acl.name for acl in acls if acl.type == "topic" and acl.pattern != "literal"}
    assert prefixes == {"agents.lead_scoring.v"}


def test_nobody_but_the_operator_may_make_the_topics_that_are_declared() -> None:
    for acls in (router_acls(), agent_acls("a")):
        assert not any("Create" in acl.operations or "Delete" in acl.operations for acl in acls)
    assert any("Create" in acl.operations for acl in operator_acls())
    assert any(acl.name == "connect-cluster-pointsman-connect" for acl in connect_acls())


def test_nobody_but_the_router_and_people_at_a_terminal_writes_a_decision() -> None:
    writers = {
        name
        for name, acls in {**kafka_users(), **agent_users(["a"])}.items()
        if any(acl.name == DECISIONS and "Write" in acl.operations for acl in acls)
    }
    assert writers == {ROUTER, OPERATOR}


def test_the_chart_names_kafkas_login_module_as_flinks_connector_carries_it() -> None:
    text = (CHART / "templates" / "_helpers.tpl").read_text()
    assert f"{INSIDE_FLINKS_JAR}&/" in text


def test_the_nightly_proposal_is_told_options_that_its_command_knows() -> None:
    text = (CHART / "templates" / "proposal.yaml").read_text()
    told = re.findall(r"^ +- (--[a-z-]+)=", text, re.MULTILINE)
    known = options(dict(commands())["local-model propose"])
    assert "--current" in told
    assert set(told) <= known


def test_agents_are_deployments_whose_replacements_have_other_names(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (CHART / "templates" / "agents.yaml").read_text()
    assert re.findall(r"^kind: (\w+)$", text, re.MULTILINE)[0] == "Deployment"
    assert "StatefulSet" not in text
    assert "scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: {{ $name }}}" in text
    assert 'POINTSMAN_INSTANCE_RETURNS, value: "false"' in text
    monkeypatch.setenv("POINTSMAN_INSTANCE_RETURNS", "false")
    assert not Settings().instance_returns
