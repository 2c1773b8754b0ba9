"""Schemas of the API about the machine: probing, processes, storage, outbox, logs, tokens."""

from typing import Any, Literal

from pipeline.gateway.schemas import Shown, WorkerShown


class ProbeProblem(Shown):
    """Why a source cannot be used."""

    code: str
    """refused, unauthorised, not_found, timeout, codec, corrupt, ended or malformed."""
    message: str


class ProbeShown(Shown):
    """Result of a probe."""

    report: dict[str, Any] | None = None
    """Null: it cannot be used."""
    picture: str | None = None
    """One frame, JPEG in base64."""
    problem: ProbeProblem | None = None


class DevicesShown(Shown):
    """The cameras of the local network."""

    devices: list[dict[str, Any]]


class ProcessShown(WorkerShown):
    """One process with its resource usage."""

    cpu_percent: float | None = None
    """Of one core, since the request before; null: not known yet."""
    memory_bytes: int | None = None


class StageShown(Shown):
    """Latency of one stage since the start of the service."""

    stage: str
    count: int
    """Number of measurements."""
    mean_seconds: float
    median_seconds: float
    percentile_95_seconds: float


class SystemShown(Shown):
    """Versions, processes, latencies and storage of the service."""

    versions: dict[str, str]
    started_at: float
    processes: list[ProcessShown]
    cameras: list[dict[str, Any]]
    """Frames a second, dropped frames and latency of each camera that sends."""
    stages: list[StageShown]
    storage: dict[str, Any]
    """Sizes of the data folder, free space, and how long events are stored."""


class RefusalShown(Shown):
    """A message that a receiver does not accept."""

    event: str
    reason: str
    created_at: float


class SinkShown(Shown):
    """Messages of one receiver."""

    sink: str
    """Its name, such as `mqtt` or `webhook:office`."""
    waiting: int
    waiting_bytes: int
    oldest_at: float | None
    """Unix seconds; null: nothing waits."""
    refused: int
    """Messages that the receiver does not accept."""
    refusals: list[RefusalShown]
    """The newest five."""


class OutboxShown(Shown):
    """Messages that wait for receivers."""

    sinks: list[SinkShown]


class LogShown(Shown):
    """Newest lines of the logs."""

    lines: list[str]


class TokenShown(Shown):
    """Name and role of a token."""

    name: str
    role: Literal["viewer", "admin"]
    origin: Literal["file", "created"]
    """Whether it is from the configuration file or was created at run time."""


class TokensShown(Shown):
    """All tokens."""

    tokens: list[TokenShown]


class NewTokenShown(Shown):
    """A token that was created."""

    name: str
    role: Literal["viewer", "admin"]
    token: str
    """Returned only once."""
