"""Options and results of an evaluation: plain data, from the runner to the reports."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models.scene_model import TERMS
from pipeline.config.model import Heatmap
from pipeline.datasets.layout import Dataset
from pipeline.evaluation.alarms import AlarmMetrics, AlarmOptions
from pipeline.evaluation.clip_scorer import InputFormat
from pipeline.evaluation.inspection import InspectionMetrics
from pipeline.evaluation.localisation import LocalisationMetrics
from pipeline.evaluation.moments import FailureMoments
from pipeline.evaluation.roc import FrameMetrics, Labels, Values


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """Options of an evaluation."""

    shots: int = 10
    """Number K of support clips."""
    draws: int = 5
    """Number of supports drawn."""
    seed: int = 0
    """Seed of the first draw; each further draw has the next one."""
    batch_size: int = 16
    """Clips scored at once."""
    smoothing_seconds: float = 0.5
    """Time constant of the additional rows with causal smoothing."""
    field_sigma_frames: float = 3.0
    """Standard deviation of the centred Gaussian of field post-processing."""
    turned: bool = False
    """Add the flips and quarter turns of every support clip, of frames that are not square the
    flips and the half turn: a support of 8 or 4 times as many clips."""
    alarms: AlarmOptions = field(default_factory=AlarmOptions)
    """Options of the alarm measures."""
    further_rates: tuple[float, ...] = ()
    """Further rates of false alarms a camera-day, >= 0, for the alarm measures."""
    heatmap: Heatmap = "cells"
    """With "gradient" the gradient heatmaps of the first draw are measured and shown as well."""

    @property
    def seeds(self) -> range:
        """One seed a draw."""
        return range(self.seed, self.seed + self.draws)


@dataclass(frozen=True, slots=True, eq=False)
class Highlight:
    """The frame of a test clip with the highest energy, in the first draw."""

    clip: str
    index: int
    energy: float
    pixels: npt.NDArray[np.uint8]
    """uint8 (H, W, 3), RGB, at the model's size."""
    anomaly_map: npt.NDArray[np.float32]
    """(h, w), in the unit of the energy."""
    gradient: npt.NDArray[np.float32] | None = None
    """Pooled gradient heatmap, (h, w), >= 0; None where it is not wanted."""


@dataclass(frozen=True, slots=True, eq=False)
class DetectorResult:
    """One row of the result: a value for every test frame, and its metrics."""

    name: str
    values: list[Values]
    """For each test clip, (frames,)."""
    metrics: FrameMetrics


@dataclass(frozen=True, slots=True, eq=False)
class FieldRows:
    """Rows with the non-causal post-processing of most papers."""

    draws: list[DetectorResult]
    """In the order of the seeds."""
    baselines: list[DetectorResult]
    """Frame index and frame difference."""


@dataclass(frozen=True, slots=True)
class Localisation:
    """Measures of the anomaly maps, raw and causal."""

    clips: int
    """Test clips that have masks."""
    draws: list[LocalisationMetrics]
    """In the order of the seeds."""
    difference: LocalisationMetrics
    """Of the differencing baseline."""
    gradient: LocalisationMetrics | None = None
    """Of the gradient heatmaps of the first draw; None where they are not wanted."""


@dataclass(frozen=True, slots=True)
class AlarmRows:
    """Alarm measures at a further rate of false alarms."""

    wanted_per_day: float
    draws: list[AlarmMetrics]
    """In the order of the seeds."""
    difference: AlarmMetrics
    """Of the differencing baseline."""


@dataclass(frozen=True, slots=True)
class Alarms:
    """Alarm measures of the raw, causal energies."""

    events: int
    """Intervals of anomalous labels in all test clips."""
    normal_seconds: float
    """Normal video outside them, the basis of false alarms a day."""
    draws: list[AlarmMetrics]
    """In the order of the seeds."""
    difference: AlarmMetrics
    """Of the differencing baseline."""
    moments: FailureMoments
    """Missed events and false alarms of the first draw at its threshold."""
    further: list[AlarmRows] = field(default_factory=list)
    """At each of the further rates, from the same energies."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """All results of an evaluation."""

    dataset: Dataset
    config: InputFormat
    model_id: str
    options: EvaluationOptions
    draws: list[DetectorResult]
    """The model, once a draw, in the order of the seeds."""
    baselines: list[DetectorResult]
    smoothed_draws: list[DetectorResult]
    """The draws with causal exponential smoothing."""
    smoothed_difference: DetectorResult
    """The differencing baseline with the same smoothing."""
    field_rows: FieldRows | None
    """None where all test clips are single images, which scaling by clip makes equal."""
    localisation: Localisation | None
    """None where no test clip has masks."""
    alarms: Alarms | None
    """None where there is no event or no normal video, as with images."""
    pts_seconds: list[Values]
    """Times of the frames, for each test clip, (frames,)."""
    parts: list[Values]
    """Contribution of each term to the energies of the first draw, for each test clip, (frames,
    terms). Their sum is the energy, except for the first frames of a video, to which
    `truncated_history` adds an offset."""
    highlights: list[Highlight]
    """One a test clip; of single images one a scene."""
    seconds: float
    """Wall time from the first support frame to the last score."""
    frames_per_second: float
    """Test frames times draws, over the wall time of decoding and scoring them."""
    inspection: Mapping[str, Sequence[InspectionMetrics]] = field(default_factory=dict)
    """For each category of single images with masks, one a draw; empty for video."""

    @property
    def model(self) -> str:
        """Preset and identity of the model."""
        return f"{self.config.preset}@{self.model_id}" if self.model_id else self.config.preset

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the terms, in the order of the columns of `parts`."""
        return TERMS[: self.parts[0].shape[1]]

    @property
    def frame_difference(self) -> DetectorResult:
        """The strongest of the trivial detectors."""
        (found,) = (row for row in self.baselines if row.name == "frame_difference")
        return found

    @property
    def labels(self) -> list[Labels]:
        """For each test clip, (frames,)."""
        return labels_of(self.dataset)


def labels_of(dataset: Dataset) -> list[Labels]:
    """For each test clip, (frames,)."""
    return [clip.labels for clip in dataset.test if clip.labels is not None]
