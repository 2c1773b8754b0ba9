"""Alert rules and dashboard: valid, tested, and of metrics and labels that the service has."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest
import yaml
from deploy_tools import DEPLOY, check
from monitoring_files import (
    DASHBOARD,
    RULES_TEST,
    Expression,
    dashboard_expressions,
    rule_expressions,
    rules,
)
from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

from pipeline.telemetry.metrics import Metrics
from pipeline.transport.messages import CameraState

EXPRESSIONS = [*rule_expressions(), *dashboard_expressions()]
ENUMERATIONS = {
    "state": set(get_args(CameraState)),
    "reason": {"replaced", "unusable", "late", "damaged"},
    "part": {"store", "journal", "score_log", "snapshot", "outbox", "retention"},
}
"""Values of the labels that expressions compare with texts."""
NOT_SHOWN = {"vedette_anomaly_threshold", "vedette_events_accepted_as_normal"}
"""In the unit of a model's energy, or in the dashboard of the service."""


def series() -> dict[str, set[str]]:
    """Name of each series → its labels, without those that Prometheus adds."""
    found: dict[str, set[str]] = {}
    for metric in vars(Metrics(CollectorRegistry())).values():
        if not isinstance(metric, MetricWrapperBase):
            continue
        labels = set(metric._labelnames)
        if metric._type == "counter":
            found[f"{metric._name}_total"] = labels
        elif metric._type == "histogram":
            found[f"{metric._name}_bucket"] = labels | {"le"}
            found |= {f"{metric._name}_{end}": labels for end in ("sum", "count")}
        else:
            found[metric._name] = labels
    return found


SERIES = series()


def test_configurations_and_rules_are_valid() -> None:
    check("promtool", "check", "config", "prometheus/prometheus.yml")
    check(
        "promtool", "check", "rules", "--lint=all", "--lint-fatal", "prometheus/vedette.rules.yml"
    )


def test_alerts_are_routed_by_severity() -> None:
    file = "alertmanager/alertmanager.yml"
    check("amtool", "check-config", file)
    routes = ("amtool", "config", "routes", "test", f"--config.file={file}")
    check(*routes, "--verify.receivers=on-call", "severity=critical")
    check(*routes, "--verify.receivers=office", "severity=warning")


def test_rules_pass_their_unit_tests() -> None:
    check("promtool", "test", "rules", RULES_TEST.name, cwd=RULES_TEST.parent)


@pytest.mark.parametrize("alert", [rule["alert"] for rule in rules()])
def test_every_rule_has_a_case_that_fires_and_one_that_does_not(alert: str) -> None:
    cases = [
        bool(case["exp_alerts"])
        for test in yaml.safe_load(RULES_TEST.read_text())["tests"]
        for case in test["alert_rule_test"]
        if case["alertname"] == alert
    ]
    assert set(cases) == {True, False}


def test_every_rule_says_how_bad_it_is_and_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("warning", "critical")
        assert set(rule["annotations"]) == {"summary", "description"}


def test_page_lists_the_alerts() -> None:
    page = (DEPLOY.parent / "docs" / "deployment.md").read_text()
    listed = re.findall(r"^\| `(Vedette\w+)` \| (\w+) \|", page, re.MULTILINE)
    assert sorted(listed) == sorted((rule["alert"], rule["labels"]["severity"]) for rule in rules())


def without_texts(expression: Expression) -> str:
    return re.sub(r'"[^"]*"', '""', expression.text)


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda one: one.place)
def test_expression_is_of_series_that_the_service_has(expression: Expression) -> None:
    assert re.findall(r"\b(?:vedette_\w+|up)\b", without_texts(expression)), "of no metric"
    for name, matchers in re.findall(r"\b(vedette_\w+)(\{[^}]*\})?", expression.text):
        assert name in SERIES, f"{name} is no series of the service"
        for label, value in re.findall(r'(\w+)\s*[=!]~?\s*"([^"]*)"', matchers):
            assert label in SERIES[name] | {"instance", "job"}, f"{name} has no label {label}"
            if value != ".*" and label not in ("instance", "job"):
                unknown = set(value.split("|")) - ENUMERATIONS[label]
                assert not unknown, f"{label} of {name} is never {unknown}"


@pytest.mark.parametrize("expression", EXPRESSIONS, ids=lambda one: one.place)
def test_texts_name_labels_that_the_result_has(expression: Expression) -> None:
    names = re.findall(r"\bvedette_\w+", without_texts(expression))
    labels = set.union(set(), *(SERIES[name] for name in names)) | {"instance", "job"}
    groupings = re.findall(r"\bby \(([^)]*)\)", expression.text)
    for grouping in groupings:
        grouped = set(re.split(r",\s*", grouping))
        assert grouped <= labels, f"grouped by {grouped - labels}, which no series has"
    if groupings:
        labels = set(re.split(r",\s*", groupings[0])) - {"le"}
    assert expression.named <= labels


def test_dashboard_expressions_are_valid(tmp_path: Path) -> None:
    recorded = [
        {"record": f"panel:{number}", "expr": expression.text}
        for number, expression in enumerate(dashboard_expressions())
    ]
    groups = {"groups": [{"name": "dashboard", "rules": recorded}]}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump(groups))
    check("promtool", "check", "rules", str(tmp_path / "rules.yml"))


def test_dashboard_shows_every_metric() -> None:
    text = " ".join(one.text for one in dashboard_expressions())
    bases = {re.sub(r"_(bucket|sum|count)$", "", name) for name in SERIES}
    assert {name for name in bases if name not in text} == NOT_SHOWN


def test_panels_have_places_of_their_own_and_the_chosen_data_source() -> None:
    board = json.loads(DASHBOARD.read_text())
    variables = {variable["name"] for variable in board["templating"]["list"]}
    assert set(re.findall(r"\$\{?([a-z]\w*)", DASHBOARD.read_text())) <= variables
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        taken |= cells
        for target in panel.get("targets", []):
            assert target["datasource"]["uid"] == "${datasource}"
