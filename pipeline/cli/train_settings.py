"""Settings of `vedette train`, derived from its options."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from models.config import PRESETS, SceneModelConfig, Shrinkage
from models.training.langevin import LangevinOptions, Steps
from models.training.meta_training import TrainingOptions
from models.training.objectives import ContrastiveOptions
from pipeline.training.scene_sampler import EpisodeOptions

Objective = Literal["discriminative", "contrastive", "both"]

_CLIP_RATE = 10.0
_FRAME_RATE = 5.0
_GAP_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class TrainSettings:
    """The model to train, the device, and the output during training."""

    preset: str = "vedette"
    queries: int = 4
    """Queries of each objective in an episode."""
    augment: bool = True
    """Random zoom, crop, mirror, brightness, noise and half speed."""
    crowd_share: float = EpisodeOptions().crowd_share
    """Share of the augmented episodes with a composed crowd."""
    truncated_share: float = EpisodeOptions().truncated_share
    """Share of the augmented episodes whose clips lack frames before the newest."""
    widths: tuple[int, int, int, int] | None = None
    """Channels of the network's stages; None: the preset's."""
    size_hw: tuple[int, int] | None = None
    """Size in pixels that the model takes; None: the preset's."""
    crop_hw: tuple[int, int] | None = None
    """Size of a random part of the frame that an episode shows, in place of whole frames; only
    without augmentation."""
    shots: tuple[int, ...] = EpisodeOptions().shots
    """Sizes K of the support of an episode, drawn at random."""
    shrinkage: Shrinkage | None = None
    """Used in training in place of that of the preset; the checkpoint has that of the preset."""
    init: str | None = None
    """Initial weights, shipped name or path; None: random ones."""
    blend: float = 1.0
    """Share of the trained weights in the checkpoint, 0 … 1; the rest are the initial ones.
    A run that goes on from weights forgets some of what they knew; the mean of both often knows
    more than either (Wortsman et al., Robust Fine-Tuning of Zero-Shot Models, CVPR 2022)."""
    device: str = "auto"
    images: Path | None = None
    """Folder for sheets of Langevin samples; None: no sheets."""
    images_every: int = 100
    """Iterations from one sheet to the next."""

    def __post_init__(self) -> None:
        """Refuse a blend without initial weights, and a part of an augmented or smaller frame.

        Raises:
            ValueError: says what is wanted.
        """
        if self.crop_hw is not None:
            if self.augment:
                raise ValueError("--crop: want --no-augment, which has crops of its own")
            whole = self.config.size_hw
            if not all(1 <= part <= size for part, size in zip(self.crop_hw, whole, strict=True)):
                raise ValueError(
                    f"--crop: want a part of {whole[0]} {whole[1]} pixels (height, width), "
                    f"got {self.crop_hw[0]} {self.crop_hw[1]}"
                )
        if self.blend != 1 and self.init is None:
            raise ValueError(
                f"--blend: want --init to blend with, got --blend {self.blend:g} alone"
            )

    @property
    def config(self) -> SceneModelConfig:
        """Configuration of the model in the checkpoint."""
        config = PRESETS[self.preset]
        return replace(
            config, widths=self.widths or config.widths, size_hw=self.size_hw or config.size_hw
        )

    @property
    def frames_per_second(self) -> float:
        """Frame rate of scenes in memory; models of single frames need a lower one."""
        return _CLIP_RATE if self.config.clip_length > 1 else _FRAME_RATE

    def episodes(self, options: TrainingOptions) -> EpisodeOptions:
        """Settings of episodes: only with what the objectives need."""
        defaults = EpisodeOptions()
        return EpisodeOptions(
            clip_length=self.config.clip_length,
            stride=self.config.stride,
            crop_hw=defaults.crop_hw if self.augment else self.crop_hw or self.config.size_hw,
            picture_hw=self.config.size_hw if self.crop_hw is not None else None,
            shots=self.shots,
            queries=self.queries if options.discriminative_weight > 0 else 0,
            patched=self.queries if options.contrastive_weight > 0 else 0,
            gap=round(_GAP_SECONDS * self.frames_per_second),
            augment=self.augment,
            crowd_share=self.crowd_share,
            truncated_share=self.truncated_share,
        )


def objective_weights(
    objective: Objective, contrastive_weight: float | None
) -> tuple[float, float]:
    """Weights of the discriminative and the contrastive objective.

    Args:
        objective: What is trained with.
        contrastive_weight: Of the paper's objective beside ours; None: 1.

    Raises:
        ValueError: a weight is given where there are no two to weigh, or it is not above 0.
    """
    if objective != "both":
        if contrastive_weight is not None:
            raise ValueError(
                f"--contrastive-weight: only for --objective both, got --objective {objective}"
            )
        return (1.0, 0.0) if objective == "discriminative" else (0.0, 1.0)
    weight = 1.0 if contrastive_weight is None else contrastive_weight
    if not weight > 0:
        raise ValueError(f"--contrastive-weight: want more than 0, got {weight:g}")
    return 1.0, weight


def training_options(
    objective: Objective,
    contrastive_weight: float | None,
    learning_rate: float | None,
    iterations: int,
    episodes: int,
    bfloat16: bool,
    seed: int,
    langevin: Steps = "bounded",
) -> TrainingOptions:
    """Options of a run; unset ones follow the objective.

    The paper trains with Adam at 1e-4 and no weight decay (its appendix A.1), ours with AdamW at
    2e-3.

    Raises:
        ValueError: as `objective_weights`, or a learning rate that is not above 0.
    """
    ours, paper = objective_weights(objective, contrastive_weight)
    if learning_rate is None:
        learning_rate = 1e-4 if ours == 0 else 2e-3
    if not learning_rate > 0:
        raise ValueError(f"--learning-rate: want more than 0, got {learning_rate:g}")
    return TrainingOptions(
        iterations=iterations,
        episodes=episodes,
        learning_rate=learning_rate,
        weight_decay=0.0 if ours == 0 else 1e-4,
        discriminative_weight=ours,
        contrastive_weight=paper,
        contrastive=ContrastiveOptions(langevin=LangevinOptions(kind=langevin)),
        autocast=bfloat16,
        seed=seed,
    )


def training_shrinkage(preset: str, objective: Objective) -> Shrinkage | None:
    """SigShrink, Eq. 9, for the paper's model with the paper's objective; None otherwise.

    Soft shrinkage, Eq. 7, has no gradient where a code is zero, which most are.
    """
    paper = PRESETS[preset].backbone == "resnet10"
    return "sigshrink" if paper and objective != "discriminative" else None
