"""All keys of the configuration with unit, default and allowed values.

The keys are short; the unit is in the description. The settings of `detect`, `adapt` and `alert`
apply to all cameras, and each camera may override them: a `Config` contains the merged values, so
that `config.cameras[name].detect` is all that a stage needs.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from cameras.address import kind_of
from cameras.opening import open_source
from cameras.source import SourceOptions
from pipeline.config.api import Api
from pipeline.config.areas import Mask, Zone
from pipeline.config.base import Count, ImageRate, Name, Number, Section, ThreadCount
from pipeline.config.receivers import Apprise, Mqtt, OutboxBounds, Webhook
from pipeline.config.retention import Record, Store
from pipeline.config.schedule import Schedule
from pipeline.config.transport import TransportSection

INHERITED = ("detect", "adapt", "alert")
"""Sections that a camera may override."""


Heatmap = Literal["cells", "gradient"]
"""Anomaly map of the cells, or the gradient of the energy to the pixels."""


class Detect(Section):
    """Which frames are scored."""

    fps: Number = Field(default=10.0, gt=0, le=60)
    """Frames scored per second; the shipped model expects 10."""
    height: Count = Field(default=240, ge=32, le=2160)
    """Height in pixels to which frames are scaled."""
    width: Count = Field(default=320, ge=32, le=3840)
    """Width in pixels to which frames are scaled."""

    @property
    def size_hw(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.height, self.width


class AdaptSection(Section):
    """How the model adapts to a scene."""

    frames: Count = Field(default=10, ge=1, le=256)
    """Number of support clips of the normal scene for the adaptation (shots)."""
    interval: Number = Field(default=1.0, gt=0)
    """Seconds between two of these clips."""
    spare: Count = Field(default=6, ge=0, le=256)
    """Additional candidate clips in the same time, so that outliers can be left out."""
    calibrate: Number = Field(default=60.0, ge=0)
    """Seconds of normal scene after the adaptation from which the threshold is refined."""
    refit: Count = Field(default=20, ge=0, le=256)
    """Clips of those seconds to fit the scene to again at their end (0: never; from 20 s)."""
    max_wait: Number = Field(default=120.0, ge=0)
    """Seconds without a usable frame after which clips are taken nevertheless."""
    on_view_change: Literal["ask", "readapt", "ignore"] = "ask"
    """On a change of the view: suppress alerts until a command, adapt again, or ignore it."""
    view_change_after: Number = Field(default=10.0, gt=0)
    """Seconds for which a view must be changed, covered or out of focus before it counts."""
    on_light_change: Literal["switch", "ask", "ignore"] = "switch"
    """On a lasting illumination change: use a scene that fits, suppress alerts, or do nothing."""
    light_change_after: Number = Field(default=20.0, gt=0)
    """Seconds for which the illumination must be changed before it counts."""
    scene_bank: Count = Field(default=4, ge=1, le=6)
    """Number of stored scenes of different illumination for reuse, including the one in use."""
    refresh: Number = Field(default=0.0, ge=0)
    """Hours after which the scene is adapted again during operation; 0: never."""
    absorb_after: Number = Field(default=3600.0, ge=0)
    """Duration in seconds after which an event is accepted as normal; 0: never."""
    absorb_recurring: Count = Field(default=4, ge=0, le=20)
    """Similar events within a day of which the last one is accepted as normal; 0: never."""


class Alert(Section):
    """When a score becomes an event; 0 is the median of normal, 1 the calibrated threshold."""

    target_false_alarms_per_day: Number = Field(default=1.0, gt=0, le=1440)
    """Target rate at which the normal scene exceeds the threshold."""
    smoothing: Number = Field(default=0.4, ge=0)
    """Time constant in seconds of the exponential smoothing of the score."""
    enter: Number = Field(default=1.0, gt=0)
    """Score at which an event begins."""
    exit: Number = Field(default=0.7, gt=0)
    """Score below which an event ends; at most `enter`."""
    min_duration: Number = Field(default=0.5, ge=0)
    """Seconds for which the score must stay high before a notification is sent."""
    merge_gap: Number = Field(default=5.0, ge=0)
    """Seconds of low score that do not yet end an event."""
    cooldown: Number = Field(default=30.0, ge=0)
    """Seconds after an event in which further events are stored without notification."""
    light_hold: Number = Field(default=5.0, ge=0)
    """Seconds after a sudden global illumination change in which no event begins; 0: none."""
    only_zones: bool = True
    """Whether, on a camera with zones, only anomalies in a zone start an event."""
    schedule: Schedule | None = None
    """Hours in which notifications are sent; null: always."""
    notify_while_calibrating: bool = False
    """Whether events during the calibration of a scene are notified; they are always stored."""

    @model_validator(mode="after")
    def _exit_is_below_enter(self) -> Self:
        if self.exit > self.enter:
            raise ValueError(
                f"got exit {self.exit:g} above enter {self.enter:g}, want exit ≤ enter"
            )
        return self


class Scoring(Section):
    """The scoring worker."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Device of the model; auto: CUDA if available."""
    weights: str = Field(default="vedette", min_length=1)
    """Name of shipped weights, or path of a checkpoint."""
    threads: ThreadCount | None = None
    """Clips that are computed at the same time on the CPU; null: the number of cores."""
    max_batch: Count = Field(default=8, ge=1, le=256)
    """Maximum number of cameras whose clips are scored in one batch."""
    heatmap: Heatmap = "cells"
    """Heatmap of events: anomaly map of the cells, or gradient of the energy to the pixels."""


class MetricsSection(Section):
    """The Prometheus endpoint /metrics."""

    enabled: bool = True
    """Whether it is served."""
    host: str = Field(default="127.0.0.1", min_length=1)
    """Address to listen on; 0.0.0.0: all."""
    port: Count = Field(default=9464, ge=0, le=65535)
    """Port to listen on; 0: any free port, which is logged."""


class Storage(Section):
    """Where data is stored."""

    folder: Path = Path("vedette-data")
    """Scenes, scores, events, snapshots; created if missing, relative to the working folder."""


class SourceSection(Section):
    """Where the frames of a camera come from; a plain string is its url."""

    url: str = Field(repr=False)
    """rtsp://, http:// or https:// URL, webcam:N, path of a video or of images, or synthetic:…"""
    transport: Literal["tcp", "udp"] = "tcp"
    """Transport of RTSP media."""
    stall_timeout: Number = Field(default=10.0, gt=0)
    """Seconds without a frame after which a connection counts as lost."""
    blind_after: Number = Field(default=10.0, ge=0)
    """Seconds after which a frozen, black or single-colour live stream is stale; 0: never."""
    kind: Literal["auto", "live", "file"] = "auto"
    """HTTP: an endless stream, or a recording; auto: the server is asked when the camera starts."""
    loop: bool = False
    """Restart files and folders at their end."""
    pace: Literal["live", "fast"] = "live"
    """Files and folders: at their own rate, or as fast as they can be scored."""
    fps: ImageRate | None = None
    """Frames per second of a folder of images; null: 10."""
    policy: Literal["auto", "newest", "wait"] = "auto"
    """Keep only the newest frame when scoring is behind, or wait; auto: files wait."""

    @model_validator(mode="before")
    @classmethod
    def _plain_string_is_the_url(cls, value: object) -> object:
        return {"url": value} if isinstance(value, str) else value

    @field_validator("url")
    @classmethod
    def _is_well_formed(cls, url: str) -> str:
        if kind_of(url) == "synthetic":
            open_source(url, SourceOptions())  # opens nothing, but validates the parameters
        return url


class Camera(Section):
    """One camera."""

    source: SourceSection
    """Where its frames come from."""
    enabled: bool = True
    """Whether it is watched."""
    detect: Detect = Detect()
    """Settings of this camera; others are taken from the settings for all cameras."""
    adapt: AdaptSection = AdaptSection()
    """Settings of this camera; others are taken from the settings for all cameras."""
    alert: Alert = Alert()
    """Settings of this camera; others are taken from the settings for all cameras."""
    masks: dict[Name, Mask] = Field(default_factory=dict)
    """Areas of the frame to ignore, such as a displayed clock."""
    zones: dict[Name, Zone] = Field(default_factory=dict)
    """Areas of the frame in which anomalies count; without any, the whole frame."""

    @property
    def lowest_enter(self) -> float:
        """The lowest score at which an event may begin."""
        enters = [self.alert.enter if z.enter is None else z.enter for z in self.zones.values()]
        if not self.zones or not self.alert.only_zones:
            enters.append(self.alert.enter)
        return min(enters)

    @property
    def lowest_exit(self) -> float:
        """The lowest score at which an event may stay active."""
        return self.lowest_enter * self.alert.exit / self.alert.enter


class Config(Section):
    """The whole configuration."""

    detect: Detect = Detect()
    """Which frames are scored."""
    adapt: AdaptSection = AdaptSection()
    """How the model adapts to a scene."""
    alert: Alert = Alert()
    """When a score becomes an event."""
    scoring: Scoring = Scoring()
    """The scoring worker."""
    metrics: MetricsSection = MetricsSection()
    """The Prometheus endpoint."""
    storage: Storage = Storage()
    """Where data is stored."""
    store: Store = Store()
    """The database of the events."""
    record: Record = Record()
    """Recording of events."""
    transport: TransportSection = TransportSection()
    """Communication between the processes of the service."""
    api: Api = Api()
    """The REST API."""
    mqtt: Mqtt = Mqtt()
    """The MQTT broker."""
    webhooks: dict[Name, Webhook] = Field(default_factory=dict)
    """HTTP servers that receive events, by name."""
    apprise: dict[Name, Apprise] = Field(default_factory=dict)
    """Services of the Apprise library that receive events, by name."""
    outbox: OutboxBounds = OutboxBounds()
    """Limits of the messages queued for receivers."""
    cameras: dict[Name, Camera]
    """The cameras by name; a name consists of letters, digits, "_" and "-"."""

    @field_validator("cameras")
    @classmethod
    def _has_cameras_or_api(
        cls, cameras: dict[str, Camera], info: ValidationInfo
    ) -> dict[str, Camera]:
        api = info.data.get("api")
        if not cameras and not (api is not None and api.enabled):
            raise ValueError("want at least one, unless api.enabled is true")
        return cameras

    @model_validator(mode="before")
    @classmethod
    def _cameras_inherit(cls, value: object) -> object:
        """Merge the settings for all cameras into those of each camera."""
        if not isinstance(value, Mapping) or not isinstance(value.get("cameras"), Mapping):
            return value
        common = {
            section: settings
            for section in INHERITED
            if isinstance(settings := value.get(section), Mapping)
        }
        cameras = {name: _inherit(common, camera) for name, camera in value["cameras"].items()}
        return {**value, "cameras": cameras}


def _inherit(common: Mapping[str, Mapping[str, object]], camera: object) -> object:
    if not isinstance(camera, Mapping):
        return camera
    merged = dict(camera)
    for section, settings in common.items():
        own = camera.get(section, {})
        if isinstance(own, Mapping):
            merged[section] = {**settings, **own}
    return merged
