"""Discovery messages to Home Assistant, checked against its documentation.

There is no official JSON schema. These tables were written down from the pages "MQTT", "MQTT binary
sensor", "MQTT sensor" and "MQTT image" of Home Assistant's documentation and from the schema of its
MQTT integration (device discovery, 2024.11 and later): the keys of each mapping, which of them are
required, and of some the values.
"""

import json
import re
from typing import Any

import jinja2
import pytest

from pipeline.notifiers.home_assistant import device_payload
from pipeline.notifiers.mqtt_topics import Topics

ROOT = {"device", "origin", "components", "availability", "availability_mode",
        "availability_template", "availability_topic", "payload_available",
        "payload_not_available", "command_topic", "state_topic", "qos", "encoding"}  # fmt: skip
DEVICE = {"identifiers", "connections", "configuration_url", "hw_version", "manufacturer", "model",
          "model_id", "name", "serial_number", "suggested_area", "sw_version",
          "via_device"}  # fmt: skip
ORIGIN = {"name", "sw_version", "support_url"}
AVAILABILITY = {"topic", "payload_available", "payload_not_available", "value_template"}
ENTITY = {"platform", "availability", "availability_mode", "availability_template",
          "availability_topic", "default_entity_id", "device", "enabled_by_default", "encoding",
          "entity_category", "entity_picture", "icon", "json_attributes_template",
          "json_attributes_topic", "name", "object_id", "payload_available",
          "payload_not_available", "unique_id"}  # fmt: skip
PLATFORMS: dict[str, tuple[set[str], set[str]]] = {  # required, further ones
    "binary_sensor": (
        {"state_topic"},
        {"device_class", "expire_after", "force_update", "off_delay", "payload_off", "payload_on",
         "qos", "value_template"},
    ),
    "sensor": (
        {"state_topic"},
        {"device_class", "expire_after", "force_update", "last_reset_value_template", "options",
         "qos", "state_class", "suggested_display_precision", "unit_of_measurement",
         "value_template"},
    ),
    "switch": (
        {"command_topic"},
        {"device_class", "optimistic", "payload_off", "payload_on", "qos", "retain", "state_off",
         "state_on", "state_topic", "value_template"},
    ),
    "button": ({"command_topic"}, {"device_class", "payload_press", "qos", "retain"}),
    "number": (
        {"command_topic"},
        {"device_class", "max", "min", "mode", "optimistic", "qos", "retain", "state_topic", "step",
         "unit_of_measurement", "value_template"},
    ),
    "image": (
        {"image_topic"},  # or url_topic
        {"content_type", "image_encoding", "url_template"},
    ),
}  # fmt: skip
BINARY_SENSOR_CLASSES = {
    "battery", "battery_charging", "carbon_monoxide", "cold", "connectivity", "door",
    "garage_door", "gas", "heat", "light", "lock", "moisture", "motion", "moving", "occupancy",
    "opening", "plug", "power", "presence", "problem", "running", "safety", "smoke", "sound",
    "tamper", "update", "vibration", "window",
}  # fmt: skip
STATE_CLASSES = {"measurement", "measurement_angle", "total", "total_increasing"}
CATEGORIES = {"config", "diagnostic"}
ID = re.compile(r"[A-Za-z0-9_-]+")


@pytest.fixture
def payload() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(device_payload(Topics("vedette", "homeassistant"), "door"))
    return loaded


def check_availability(holder: dict[str, Any]) -> None:
    assert not {"availability", "availability_topic"} <= holder.keys()
    assert holder.get("availability_mode", "latest") in ("all", "any", "latest")
    for one in holder.get("availability", ()):
        assert "topic" in one
        assert one.keys() <= AVAILABILITY


def test_the_root_and_its_mappings(payload: dict[str, Any]) -> None:
    assert {"device", "origin", "components"} <= payload.keys() <= ROOT
    assert payload["device"].keys() <= DEVICE
    assert payload["device"].get("identifiers") or payload["device"].get("connections")
    assert "name" in payload["origin"]
    assert payload["origin"].keys() <= ORIGIN
    check_availability(payload)


def test_every_component(payload: dict[str, Any]) -> None:
    assert {c["platform"] for c in payload["components"].values()} == PLATFORMS.keys()
    for name, component in payload["components"].items():
        assert ID.fullmatch(name)
        required, further = PLATFORMS[component["platform"]]
        assert required <= component.keys() <= ENTITY | required | further
        assert component["unique_id"]
        assert component.get("qos", 0) in (0, 1, 2)
        assert component.get("entity_category", "config") in CATEGORIES
        assert component.get("state_class", "measurement") in STATE_CLASSES
        # `options` only with the class `enum`, and that with no state class or unit.
        assert ("options" in component) == (component.get("device_class") == "enum")
        if "options" in component:
            assert component["options"]
            assert not {"state_class", "unit_of_measurement"} & component.keys()
        check_availability(component)
        if component["platform"] == "binary_sensor":
            assert component["device_class"] in BINARY_SENSOR_CLASSES


def test_the_ids_of_cameras_differ_and_do_not_change() -> None:
    topics = Topics("vedette", "homeassistant")
    ids = [
        component["unique_id"]
        for camera in ("door", "yard")
        for component in json.loads(device_payload(topics, camera))["components"].values()
    ]
    assert len(set(ids)) == len(ids) == 18
    assert "vedette_door_anomaly" in ids  # automations of users refer to it


@pytest.mark.parametrize(
    ("learning", "shown"),
    [
        ({"trusted": False, "trusted_in_seconds": 35.0}, ("ON", "35.0")),
        ({"trusted": True, "trusted_in_seconds": 0.0}, ("OFF", "0.0")),
    ],
)
def test_calibration_state_and_remaining_time(
    payload: dict[str, Any], learning: dict[str, object], shown: tuple[str, str]
) -> None:
    found = []
    for name in ("learning", "trusted_in"):
        component = payload["components"][name]
        assert component["state_topic"] == "vedette/door/learning"
        template = jinja2.Template(component["value_template"])  # as Home Assistant renders it
        found.append(template.render(value_json=learning))
    assert tuple(found) == shown
    assert payload["components"]["learning"]["payload_on"] == "ON"


def test_an_offline_camera_has_no_anomaly_but_a_status(payload: dict[str, Any]) -> None:
    components = payload["components"]
    topics = [one["topic"] for one in components["anomaly"]["availability"]]
    assert topics == ["vedette/available", "vedette/door/status"]
    assert components["anomaly"]["availability_mode"] == "all"
    assert "availability" not in components["status"]  # that of the device
    assert components["anomaly"]["device_class"] == "problem"
    assert components["snapshot"]["image_topic"] == "vedette/door/snapshot"
