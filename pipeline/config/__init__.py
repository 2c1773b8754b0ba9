"""The configuration: one YAML file, checked as a whole before anything starts."""

from pipeline.config.areas import Mask, Zone
from pipeline.config.errors import ConfigError, Problem
from pipeline.config.loading import load_config
from pipeline.config.model import (
    Adapt,
    Alert,
    Api,
    Camera,
    Config,
    Detect,
    MetricsServer,
    Scoring,
    Source,
    Storage,
    Tls,
    Token,
)
from pipeline.config.receivers import Apprise, Discovery, Mqtt, OutboxBounds, Webhook
from pipeline.config.retention import Record, Retain, Store
from pipeline.config.schedule import Schedule
from pipeline.config.schema import config_schema
from pipeline.config.transport import Transport

__all__ = [
    "Adapt",
    "Alert",
    "Api",
    "Apprise",
    "Camera",
    "Config",
    "ConfigError",
    "Detect",
    "Discovery",
    "Mask",
    "MetricsServer",
    "Mqtt",
    "OutboxBounds",
    "Problem",
    "Record",
    "Retain",
    "Schedule",
    "Scoring",
    "Source",
    "Storage",
    "Store",
    "Tls",
    "Token",
    "Transport",
    "Webhook",
    "Zone",
    "config_schema",
    "load_config",
]
