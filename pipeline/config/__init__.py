"""The configuration: one YAML file, checked as a whole before anything starts."""

from pipeline.config.errors import ConfigError, Problem
from pipeline.config.loading import load_config
from pipeline.config.model import (
    Adapt,
    Alert,
    Camera,
    Config,
    Detect,
    Mask,
    MetricsServer,
    Scoring,
    Source,
    Storage,
)
from pipeline.config.schema import config_schema

__all__ = [
    "Adapt",
    "Alert",
    "Camera",
    "Config",
    "ConfigError",
    "Detect",
    "Mask",
    "MetricsServer",
    "Problem",
    "Scoring",
    "Source",
    "Storage",
    "config_schema",
    "load_config",
]
