"""The reference pages say what the code says."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from pipeline.events.event import Event
from pipeline.events.score_record import ScoreRecord
from pipeline.notifiers.message import EventMessage
from pipeline.telemetry.metrics import Metrics

DOCS = Path(__file__).parents[1] / "docs"
SCHEMA = json.loads((DOCS / "config.schema.json").read_text(encoding="utf-8"))
SECTIONS = {
    "detect": "Detect",
    "adapt": "AdaptSection",
    "alert": "Alert",
    "alert.schedule": "Schedule",
    "scoring": "Scoring",
    "metrics": "MetricsSection",
    "storage": "Storage",
    "store": "Store",
    "record": "Record",
    "record.retain": "Retain",
    "transport": "TransportSection",
    "api": "Api",
    "api.tokens.NAME": "Token",
    "api.tls": "Tls",
    "mqtt": "Mqtt",
    "mqtt.discovery": "Discovery",
    "webhooks.NAME": "Webhook",
    "apprise.NAME": "Apprise",
    "outbox": "OutboxBounds",
    "cameras.NAME": "Camera",
    "cameras.NAME.source": "SourceSection",
    "cameras.NAME.masks.NAME": "Mask",
    "cameras.NAME.zones.NAME": "Zone",
}
TYPES = {"integer": "whole number", "string": "text", "boolean": "`true` or `false`"}
TYPES["array"] = "list"
BOUNDS = {"exclusiveMinimum": "> {:g}", "minimum": "≥ {:g}", "maximum": "≤ {:g}"}


def section(page: str, title: str) -> str:
    """Text below a heading, to the next one."""
    text = (DOCS / page).read_text(encoding="utf-8")
    pattern = rf"^#+ {re.escape(title)}\n(.*?)(?=^#+ |\Z)"
    (found,) = re.findall(pattern, text, re.DOTALL | re.MULTILINE)
    return str(found)


def rows(text: str) -> list[str]:
    """Lines of the tables in a text that begin with a name in code style."""
    return [line for line in text.splitlines() if line.startswith("| `")]


def wanted(key: dict[str, Any]) -> str:
    """What the schema says that a value may be."""
    kinds = [key, *key.get("anyOf", ())]
    choices = [f"`{choice}`" for kind in kinds for choice in kind.get("enum", ())]
    if choices:
        return ", ".join(choices)
    names = [kind["type"] for kind in kinds if kind.get("type") not in (None, "null", "object")]
    bounds = [BOUNDS[name].format(kind[name]) for kind in kinds for name in BOUNDS if name in kind]
    names = [TYPES.get(name, name) for name in names]
    return ", ".join([*names, *bounds]) or "mapping"


def configuration_rows(definition: str) -> list[str]:
    """The table of one section, as the schema has it."""
    schema = SCHEMA["$defs"][definition]
    schema = next((one for one in schema.get("anyOf", ()) if "properties" in one), schema)
    found = []
    for name, key in schema["properties"].items():
        if name in schema.get("required", ()):
            default = "required"
        elif isinstance(key.get("default", {}), dict):
            default = "–"
        else:
            default = f"`{json.dumps(key['default'])}`"
        found.append(f"| `{name}` | {default} | {wanted(key)} | {key['description']} |")
    return found


@pytest.mark.parametrize(("title", "definition"), SECTIONS.items())
def test_every_key_of_the_configuration(title: str, definition: str) -> None:
    assert rows(section("configuration.md", f"`{title}`")) == configuration_rows(definition)


def test_every_section_of_the_configuration() -> None:
    assert {title.split(".")[0] for title in SECTIONS} == SCHEMA["properties"].keys()
    assert set(SECTIONS.values()) == SCHEMA["$defs"].keys()


def test_every_metric() -> None:
    registry = CollectorRegistry()
    Metrics(registry)
    names = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in registry.collect()
    }
    told = [re.match(r"\| `(\w+)", row) for row in rows(section("operations.md", "Metrics"))]
    assert sorted(match[1] for match in told if match) == sorted(names)


@pytest.mark.parametrize(
    ("page", "title", "kind"),
    [
        ("operations.md", "Score log", ScoreRecord),
        ("operations.md", "Events", Event),
        ("sinks.md", "Event message", EventMessage),
    ],
)
def test_every_field_of_what_is_kept_or_told(page: str, title: str, kind: type) -> None:
    told = [re.match(r"\| `(\w+)`", row) for row in rows(section(page, title))]
    assert [match[1] for match in told if match] == [*kind.__dataclass_fields__]


def test_every_test_that_is_named_exists() -> None:
    text = (DOCS / "operator-faults.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", text))
    assert len(named) > 80
    for file, name in named:
        tests = (Path(__file__).parent / file).read_text(encoding="utf-8")
        assert f"\ndef {name}(" in tests, f"{file}::{name}"
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert all("::test_" in line for line in lines if "| before |" not in line)
