"""The composed model: clip → features → sparse code → energy terms."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.backbone import build_backbone
from models.config import SceneModelConfig
from models.dictionary import Dictionary, build_dictionary
from models.energy import motion_energy, pool_top, residual_energy
from models.inputs import check_clips, colour_clips, colour_input, grey_clips, motion_input
from models.recall import SceneMemory, excused_motion, recalled_residual


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What the network sees in a batch of clips, independent of any scene."""

    features: Tensor
    """Feature maps z, (B, d, h, w)."""
    motion: Tensor | None
    """Log motion of every cell, (B, h, w); None where the model has no motion term."""

    def __getitem__(self, places: slice | list[int]) -> "Observation":
        motion = None if self.motion is None else self.motion[places]
        return Observation(self.features[places], motion)

    def stored(self) -> "Observation":
        """A copy to keep for a while: float16 on the CPU, half as large."""
        motion = None if self.motion is None else self.motion.half().cpu()
        return Observation(self.features.half().cpu(), motion)

    @staticmethod
    def joined(parts: Sequence["Observation"], device: torch.device) -> "Observation":
        """Several, each seen by the same model, as one batch of float32."""
        features = torch.cat([part.features.to(device).float() for part in parts])
        motions = [part.motion.to(device).float() for part in parts if part.motion is not None]
        return Observation(features, torch.cat(motions) if motions else None)


@dataclass(frozen=True, slots=True, eq=False)
class EnergyTerms:
    """Unstandardised energy terms of a batch of clips in one scene."""

    cells: tuple[Tensor, ...]
    """Residual, and motion where the model has it; each (B, h, w)."""
    frames: Tensor
    """The terms pooled over the frame, (B, number of terms)."""


class SceneModel(nn.Module):
    """Backbone and configuration; every scene-dependent thing is handed in."""

    # What one standard deviation and the median of the pooled terms are in a scene not yet known,
    # measured on normal clips of the training scenes; a support of few clips leans on them.
    prior_mean: Tensor
    prior_spread: Tensor

    def __init__(self, config: SceneModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = build_backbone(config)
        terms = 2 if config.motion_weight > 0 else 1
        self.register_buffer("prior_mean", torch.zeros(terms))
        self.register_buffer("prior_spread", torch.ones(terms))

    def observe(self, clips: Tensor) -> Observation:
        """Look at clips.

        Args:
            clips: uint8 (B, T, H, W, 3), RGB, oldest frame first.

        Raises:
            ValueError: another shape or type, or another clip length.
        """
        check_clips(clips)
        if clips.shape[1] != self.config.clip_length:
            raise ValueError(
                f"clips: want {self.config.clip_length} frames for preset "
                f"{self.config.preset}, got {clips.shape[1]}"
            )
        return self.observe_input(colour_clips(clips) if self.config.colour else grey_clips(clips))

    def observe_input(self, pixels: Tensor, autocast: bool = False) -> Observation:
        """Look at clips that are floats already, as in training.

        Args:
            pixels: In [0, 1]: RGB (B, T, 3, H, W) where `config.colour`, else grey (B, T, H, W).
            autocast: Run the network in bfloat16; what follows it stays in float32.
        """
        motion = None
        if self.config.motion_weight > 0:
            motion = motion_energy(pixels, self.config.stride)
        return Observation(self.features(pixels, autocast), motion)

    def features(self, pixels: Tensor, autocast: bool = False) -> Tensor:
        """Feature maps z (B, d, h, w), float32, of what `observe_input` takes."""
        if self.config.colour:
            ready = colour_input(pixels)
        else:
            ready = motion_input(pixels).contiguous(memory_format=torch.channels_last)
        with torch.autocast(pixels.device.type, torch.bfloat16, enabled=autocast):
            features: Tensor = self.backbone(ready)
        return features.float()

    def dictionary(self, support: Observation) -> Dictionary:
        """Dictionary of the scene that the K support clips show."""
        return build_dictionary(support.features, self.config)

    def terms(
        self,
        observation: Observation,
        dictionary: Dictionary,
        memory: SceneMemory | None = None,
    ) -> EnergyTerms:
        """Energy terms of clips in the scene of that dictionary, and with its memory."""
        residual = residual_energy(observation.features, dictionary, self.config)
        motion = observation.motion
        if memory is not None:
            residual = recalled_residual(residual, observation.features, memory, self.config)
            motion = None if motion is None else excused_motion(motion, memory)
        frames = [pool_top(residual, self.config.top_cells)]
        cells = [residual]
        if motion is not None:
            cells.append(motion)
            frames.append(pool_top(motion, self.config.motion_cells))
        return EnergyTerms(tuple(cells), torch.stack(frames, dim=1))

    def weights(self) -> Tensor:
        """Weight of each standardised term in the frame's energy, (terms,)."""
        weights = [1.0, self.config.motion_weight][: self.prior_mean.numel()]
        return torch.tensor(weights, device=self.prior_mean.device)
