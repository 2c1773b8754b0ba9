"""What an evaluation asks for and what it finds: plain data, from the runner to the reports."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from models import SceneModelConfig
from models.scene_model import TERMS
from pipeline.datasets.layout import Dataset
from pipeline.evaluation.alarms import AlarmMetrics, AlarmOptions
from pipeline.evaluation.localisation import LocalisationMetrics
from pipeline.evaluation.moments import FailureMoments
from pipeline.evaluation.roc import FrameMetrics, Labels, Values


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """What is measured."""

    shots: int = 10
    """Number K of support clips."""
    draws: int = 5
    """How many supports are drawn."""
    seed: int = 0
    """Of the first draw; each further draw has one more."""
    batch_size: int = 16
    """Clips scored at once."""
    smoothing_seconds: float = 0.5
    """Time constant of the rows with causal smoothing, which stand beside the raw ones."""
    field_sigma_frames: float = 3.0
    """Of the centred Gaussian in the rows of field post-processing."""
    alarms: AlarmOptions = field(default_factory=AlarmOptions)
    """How the live measures are taken."""
    further_rates: tuple[float, ...] = ()
    """False alarms a camera-day, >= 0, at which they are taken besides."""

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


@dataclass(frozen=True, slots=True, eq=False)
class DetectorResult:
    """One row of the result: a value for every test frame, and how good they are."""

    name: str
    values: list[Values]
    """For each test clip, (frames,)."""
    metrics: FrameMetrics


@dataclass(frozen=True, slots=True, eq=False)
class FieldRows:
    """Rows with the post-processing of the papers, which no camera can do."""

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


@dataclass(frozen=True, slots=True)
class AlarmRows:
    """Live measures at a rate of false alarms that was asked for besides."""

    wanted_per_day: float
    draws: list[AlarmMetrics]
    """In the order of the seeds."""
    difference: AlarmMetrics
    """Of the differencing baseline."""


@dataclass(frozen=True, slots=True)
class Alarms:
    """Live measures of the raw, causal energies."""

    events: int
    """Intervals of anomalous labels in all test clips."""
    normal_seconds: float
    """Video outside them: what false alarms a day are reckoned from."""
    draws: list[AlarmMetrics]
    """In the order of the seeds."""
    difference: AlarmMetrics
    """Of the differencing baseline."""
    moments: FailureMoments
    """What the first draw missed and what it raised falsely, at its threshold."""
    further: list[AlarmRows] = field(default_factory=list)
    """At each of the further rates asked for, from the same energies."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """Everything that was measured."""

    dataset: Dataset
    config: SceneModelConfig
    model_id: str
    options: EvaluationOptions
    draws: list[DetectorResult]
    """The model, once a draw, in the order of the seeds."""
    baselines: list[DetectorResult]
    smoothed_draws: list[DetectorResult]
    """The draws with causal exponential smoothing."""
    smoothed_difference: DetectorResult
    """The differencing baseline with the same."""
    field_rows: FieldRows | None
    """None where all test clips are single images, which scaling by clip makes all alike."""
    localisation: Localisation | None
    """None where no test clip has masks."""
    alarms: Alarms | None
    """None where there is no event or no normal video, as with images."""
    pts_seconds: list[Values]
    """Times of the frames, for each test clip, (frames,)."""
    parts: list[Values]
    """What each term adds to the energies of the first draw, for each test clip, (frames, terms).
    Their sum is the energy, but for the first frames of a video, to which `beginnings` adds what
    makes them comparable."""
    highlights: list[Highlight]
    """One a test clip; of single images one a scene."""
    seconds: float
    """Wall time from the first support frame to the last score."""
    frames_per_second: float
    """Test frames times draws, over the wall time of decoding and scoring them."""

    @property
    def model(self) -> str:
        """Preset and identity of the model."""
        return f"{self.config.preset}@{self.model_id}"

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
