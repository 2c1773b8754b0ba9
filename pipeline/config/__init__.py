"""The configuration: one YAML file, validated completely before anything starts."""

from pipeline.config.api import Api, Tls, Token
from pipeline.config.areas import Mask, Zone
from pipeline.config.errors import ConfigError, ConfigProblem
from pipeline.config.loading import config_schema, load_config
from pipeline.config.model import (
    AdaptSection,
    Alert,
    Camera,
    Config,
    Detect,
    MetricsSection,
    Scoring,
    SourceSection,
    Storage,
)
from pipeline.config.receivers import Apprise, Discovery, Mqtt, OutboxBounds, Webhook
from pipeline.config.retention import Record, Retain, Store
from pipeline.config.schedule import Schedule
from pipeline.config.transport import TransportSection

__all__ = [
    "AdaptSection",
    "Alert",
    "Api",
    "Apprise",
    "Camera",
    "Config",
    "ConfigError",
    "ConfigProblem",
    "Detect",
    "Discovery",
    "Mask",
    "MetricsSection",
    "Mqtt",
    "OutboxBounds",
    "Record",
    "Retain",
    "Schedule",
    "Scoring",
    "SourceSection",
    "Storage",
    "Store",
    "Tls",
    "Token",
    "TransportSection",
    "Webhook",
    "Zone",
    "config_schema",
    "load_config",
]
