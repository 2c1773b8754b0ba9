"""What `deploy/` ships for Prometheus, Alertmanager and Grafana, as the tests of it read it."""

import json
import re
from dataclasses import dataclass
from typing import Any

import yaml
from deploy_tools import DEPLOY

RULES = DEPLOY / "prometheus" / "vedette.rules.yml"
RULES_TEST = DEPLOY / "prometheus" / "vedette.rules.test.yml"
DASHBOARD = DEPLOY / "grafana" / "vedette.json"


@dataclass(frozen=True)
class Expression:
    """An expression of PromQL, and the labels that texts beside it name."""

    place: str
    text: str
    named: frozenset[str]


def rules() -> list[dict[str, Any]]:
    """All alert rules."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def rule_expressions() -> list[Expression]:
    """The expressions of the alert rules, with the labels of their annotations."""
    return [
        Expression(
            rule["alert"],
            rule["expr"],
            frozenset(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))),
        )
        for rule in rules()
    ]


def dashboard_expressions() -> list[Expression]:
    """The expressions of the dashboard, its variables replaced, with the labels of the legends."""
    board = json.loads(DASHBOARD.read_text())
    return [
        Expression(
            f"{panel['title']} {target['refId']}",
            target["expr"]
            .replace("$__rate_interval", "1m")
            .replace("$instance", ".*")
            .replace("$camera", ".*"),
            frozenset(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])),
        )
        for panel in board["panels"]
        for target in panel.get("targets", [])
    ]
