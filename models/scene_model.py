"""The composed model: clip → features and motion → sparse code → energy terms."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.backbone import build_backbone
from models.config import SceneModelConfig
from models.dictionary import Dictionary, build_dictionary
from models.energy import (
    highest_residuals,
    pool_lags,
    pool_top,
    residual_energy,
    still_residual,
)
from models.inputs import check_clips, colour_clips, colour_input, grey_clips, motion_input
from models.motion import observe_motion
from models.row_normal import fit_row_normal, log_ratio
from models.scene_exemplars import SceneExemplars, motion_with_exemplars, residual_with_exemplars

TERMS = ("residual", "motion", "still")
"""Names of the energy terms, in order; a model without motion has only the first."""
_CROWD_OFFSET = 0.005
"""Added to the moving share of a frame before its logarithm; about one person at 240×320."""


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """Features and motion of a batch of clips, independent of any scene."""

    features: Tensor
    """Feature maps z, (B, d, h, w)."""
    motion: Tensor | None
    """Motion, (B, C + 1, h, w), see `models.motion.observe_motion`; None where the model has no
    motion term."""

    def __getitem__(self, places: slice | list[int]) -> "Observation":
        motion = None if self.motion is None else self.motion[places]
        return Observation(self.features[places], motion)

    def stored(self) -> "Observation":
        """A copy for storage: float16 on the CPU, half as large."""
        motion = None if self.motion is None else self.motion.half().cpu()
        return Observation(self.features.half().cpu(), motion)

    @staticmethod
    def joined(parts: Sequence["Observation"], device: torch.device) -> "Observation":
        """Concatenate observations of one model to one batch of float32."""
        features = torch.cat([part.features.to(device).float() for part in parts])
        motions = [part.motion.to(device).float() for part in parts if part.motion is not None]
        return Observation(features, torch.cat(motions) if motions else None)


@dataclass(frozen=True, slots=True, eq=False)
class EnergyTerms:
    """Unstandardised energy terms of a batch of clips in one scene."""

    cells: tuple[Tensor, ...]
    """Residual, and where the model has motion its log ratio to the row's normal and the residual
    of still cells; each (B, h, w)."""
    frames: Tensor
    """The terms, pooled over the frame, (B, number of terms), in the order of `TERMS`."""
    crowd: Tensor
    """Log of the moving share of the frame, (B,); 0 where the model has no motion."""


class SceneModel(nn.Module):
    """Backbone and configuration; all scene-dependent state is passed in."""

    # Median and standard deviation of the pooled terms in an unknown scene, measured on normal
    # clips of the training scenes; statistics of a small support are shrunk towards them.
    prior_mean: Tensor
    prior_spread: Tensor

    def __init__(self, config: SceneModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config)
        terms = len(TERMS) if config.motion_weight > 0 else 1
        self.register_buffer("prior_mean", torch.zeros(terms))
        self.register_buffer("prior_spread", torch.ones(terms))

    def observe(self, clips: Tensor, ages: Tensor | None = None) -> Observation:
        """Compute features and motion of clips.

        Args:
            clips: uint8 (B, T, H, W, 3), RGB, oldest frame first.
            ages: Age of each frame relative to the newest in seconds, (B, T); None: frames are
                `config.clip_interval_seconds` apart.

        Raises:
            ValueError: another shape or type, another clip length, or not an age for each frame.
        """
        check_clips(clips)
        if clips.shape[1] != self.config.clip_length:
            raise ValueError(
                f"clips: want {self.config.clip_length} frames for preset "
                f"{self.config.preset}, got {clips.shape[1]}"
            )
        if ages is not None:
            if ages.shape != clips.shape[:2]:
                raise ValueError(f"ages: want {tuple(clips.shape[:2])}, got {tuple(ages.shape)}")
            ages = ages / self.config.clip_interval_seconds
        pixels = colour_clips(clips) if self.config.colour else grey_clips(clips)
        return self.observe_input(pixels, ages=ages)

    def observe_input(
        self, pixels: Tensor, autocast: bool = False, ages: Tensor | None = None
    ) -> Observation:
        """Compute features and motion of float clips, as in training.

        Args:
            pixels: In [0, 1]: RGB (B, T, 3, H, W) where `config.colour`, else grey (B, T, H, W).
            autocast: Run the network in bfloat16; all later steps stay in float32.
            ages: See `models.motion.observe_motion`.
        """
        motion = None
        if self.config.motion_weight > 0:
            motion = observe_motion(pixels, self.config.stride, self.config.motion, ages)
        return Observation(self.features(pixels, autocast), motion)

    def features(self, pixels: Tensor, autocast: bool = False) -> Tensor:
        """Feature maps z (B, d, h, w), float32, of the input of `observe_input`."""
        if self.config.colour:
            ready = colour_input(pixels)
        else:
            ready = motion_input(pixels).contiguous(memory_format=torch.channels_last)
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=autocast):
            features: Tensor = self.backbone(ready)
        return features.float()

    def dictionary(self, support: Observation) -> Dictionary:
        """Dictionary of the scene of the K support clips."""
        return build_dictionary(support.features, self.config)

    def row_normal(self, support: Observation) -> Tensor | None:
        """Normal motion of each row of that scene, (C, h); None where the model has no motion."""
        return None if support.motion is None else fit_row_normal(support.motion)

    def terms(
        self,
        observation: Observation,
        dictionary: Dictionary,
        row_normal: Tensor | None,
        exemplars: SceneExemplars | None = None,
    ) -> EnergyTerms:
        """Energy terms of clips in the scene of that dictionary, row normal and exemplars."""
        residual = self._residual(observation, dictionary, exemplars)
        pooled = pool_top(residual, self.config.top_cells)
        if observation.motion is None or row_normal is None:
            return EnergyTerms((residual,), pooled.unsqueeze(1), torch.zeros_like(pooled))
        by_lag = log_ratio(observation.motion, row_normal)
        if exemplars is not None:
            by_lag = motion_with_exemplars(by_lag, exemplars)
        motion = by_lag.mean(1)
        moving = observation.motion[:, -1]
        still = still_residual(residual, moving)
        frames = [
            pooled,
            pool_lags(by_lag, self.config.motion_cells),
            pool_top(still, self.config.still_cells),
        ]
        crowd = torch.log(moving.flatten(1).mean(1) + _CROWD_OFFSET)
        return EnergyTerms((residual, motion, still), torch.stack(frames, dim=1), crowd)

    def _residual(
        self, observation: Observation, dictionary: Dictionary, exemplars: SceneExemplars | None
    ) -> Tensor:
        features, config = observation.features, self.config
        if exemplars is not None:
            residual = residual_energy(features, dictionary, config)
            return residual_with_exemplars(residual, features, exemplars, config)
        # Which cells are coded depends on the data: a GPU would wait for the CPU.
        if (
            features.requires_grad
            or features.is_cuda
            or not (config.warm_start and config.top_cells)
        ):
            return residual_energy(features, dictionary, config)
        moving = None if observation.motion is None else observation.motion[:, -1]
        return highest_residuals(features, dictionary, config, moving)

    def weights(self) -> Tensor:
        """Weight of each standardised term in the frame's energy, (terms,)."""
        config = self.config
        weights = [config.residual_weight, config.motion_weight, config.still_weight]
        return torch.tensor(weights[: self.prior_mean.numel()], device=self.prior_mean.device)
