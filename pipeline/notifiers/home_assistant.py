"""Discovery message of a camera for Home Assistant: one device with its entities. Pure functions.

The format is that of MQTT device discovery in Home Assistant's documentation. The anomaly is a
`problem`, not `motion`: `off` of a motion sensor means that nothing moves, but a street full of its
usual cars is no anomaly, and an abandoned object is one.
"""

import json
from importlib.metadata import version

from pipeline.notifiers.mqtt_topics import STATUSES, Topics

_QOS = 1
_WITHOUT_VIDEO = "('offline', 'disabled', 'error', 'ended')"


def device_payload(topics: Topics, camera: str, *, commands: bool = True) -> bytes:
    """Discovery message of a camera as JSON; `commands`: whether commands are accepted."""
    device = topics.device_id(camera)
    vedette_online = {"topic": topics.available}
    camera_online = {
        "topic": topics.of(camera, "status"),
        "value_template": "{{ 'offline' if value in " + _WITHOUT_VIDEO + " else 'online' }}",
    }
    # The states of a camera without video would be outdated.
    availability = {"availability": [vedette_online, camera_online], "availability_mode": "all"}
    components: dict[str, dict[str, object]] = {
        "anomaly": {
            "platform": "binary_sensor",
            "name": "Anomaly",
            "device_class": "problem",
            "state_topic": topics.of(camera, "anomaly"),
            "payload_on": "ON",
            "payload_off": "OFF",
            "qos": _QOS,
            **availability,
        },
        "score": {
            "platform": "sensor",
            "name": "Anomaly score",
            "icon": "mdi:chart-bell-curve",
            "state_class": "measurement",
            "suggested_display_precision": 2,
            "state_topic": topics.of(camera, "score"),
            "qos": _QOS,
            **availability,
        },
        "status": {
            "platform": "sensor",
            "name": "Status",
            "device_class": "enum",
            "options": list(STATUSES),
            "entity_category": "diagnostic",
            "state_topic": topics.of(camera, "status"),
            "json_attributes_topic": topics.of(camera, "details"),
            "qos": _QOS,
        },
        "learning": {
            "platform": "binary_sensor",
            "name": "Learning",
            "icon": "mdi:school",
            "device_class": "running",
            "entity_category": "diagnostic",
            "state_topic": topics.of(camera, "learning"),
            "value_template": "{{ 'OFF' if value_json.trusted else 'ON' }}",
            "json_attributes_topic": topics.of(camera, "learning"),
            "payload_on": "ON",
            "payload_off": "OFF",
            "qos": _QOS,
            **availability,
        },
        "trusted_in": {
            "platform": "sensor",
            "name": "Trusted in",
            "device_class": "duration",
            "unit_of_measurement": "s",
            "suggested_display_precision": 0,
            "entity_category": "diagnostic",
            "state_topic": topics.of(camera, "learning"),
            "value_template": "{{ value_json.trusted_in_seconds }}",
            "qos": _QOS,
            **availability,
        },
        "snapshot": {
            "platform": "image",
            "name": "Last anomaly",
            "image_topic": topics.of(camera, "snapshot"),
            "content_type": "image/jpeg",
        },
    }
    if commands:
        components |= _controls(topics, camera)
    for name, component in components.items():
        component["unique_id"] = f"{device}_{name}"
    payload = {
        "device": {
            "identifiers": [device],
            "name": camera,
            "manufacturer": "Vedette",
            "model": "Watched camera",
            "sw_version": version("vedette"),
        },
        "origin": {"name": "Vedette", "sw_version": version("vedette")},
        "availability": [vedette_online],
        "components": components,
    }
    return json.dumps(payload).encode()


def _controls(topics: Topics, camera: str) -> dict[str, dict[str, object]]:
    return {
        "enabled": {
            "platform": "switch",
            "name": "Watched",
            "icon": "mdi:cctv",
            "command_topic": topics.of(camera, "enabled/set"),
            "state_topic": topics.of(camera, "enabled/state"),
            "payload_on": "ON",
            "payload_off": "OFF",
            "qos": _QOS,
        },
        "adapt": {
            "platform": "button",
            "name": "Adapt to the scene again",
            "icon": "mdi:image-refresh",
            "entity_category": "config",
            "command_topic": topics.of(camera, "adapt/set"),
            "payload_press": "PRESS",
            "qos": _QOS,
        },
        "threshold": {
            "platform": "number",
            "name": "Score at which an event begins",
            "icon": "mdi:tune-vertical",
            "entity_category": "config",
            "command_topic": topics.of(camera, "threshold/set"),
            "state_topic": topics.of(camera, "threshold/state"),
            "min": 0.1,
            "max": 10,
            "step": 0.05,
            "mode": "box",
            "qos": _QOS,
        },
    }
