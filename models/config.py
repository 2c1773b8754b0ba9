"""All sizes and weights of the method in one frozen dataclass, and the two presets."""

from dataclasses import asdict, dataclass, fields, replace
from typing import Literal

from models.motion import MotionKind

Backbone = Literal["resnet10", "motion"]
Shrinkage = Literal["soft", "sigshrink", "nonnegative", "none"]
Coder = Literal["istc", "fista", "nearest"]

_FIRST_WIDTHS = (24, 32, 48, 64)


@dataclass(frozen=True, slots=True)
class SceneModelConfig:
    """Architecture of one scene model; written into every checkpoint as JSON."""

    preset: str
    """Name of the configuration: "paper", "paper-5" or "vedette"."""
    backbone: Backbone
    """The paper's colour network, stride 32, or ours on grey and differences, stride 8."""
    widths: tuple[int, int, int, int]
    """Channels of the network's four stages: in ours the stem and three blocks, in the paper's the
    four blocks, the first of which is as wide as the stem."""
    feature_channels: int
    """Channels d of the feature map z."""
    clip_length: int
    """Frames T of one input clip, 1 or more."""
    clip_interval_seconds: float
    """Time between the frames of a clip; clips are sampled by time, never by index."""
    size_hw: tuple[int, int]
    """Size of the input in pixels that the weights were trained on."""
    receptive_field: int
    """Side l of the feature window that is coded as one vector of d·l² values; odd."""
    centre: bool
    """Subtract the support mean of every location before coding (ours)."""
    normalise: bool
    """Scale every coded vector and every atom to unit length (ours; Eq. 6 diverges without)."""
    window: int
    """Side of the neighbourhood whose features are a cell's own atoms (ours); odd; 0: none."""
    cell_atoms: int
    """Bound on a cell's own atoms, chosen farthest first; 0: no bound."""
    shared_atoms: int
    """Bound on the atoms that all cells share; 0: all of the support, as the paper."""
    coder: Coder
    """ISTC is Eq. 6; FISTA adds momentum (ours); "nearest" takes one atom, as an ablation."""
    shrinkage: Shrinkage
    """Soft is Eq. 7, SigShrink Eq. 9, "nonnegative" the upper half of Eq. 7 (ours); "none", as an
    ablation, leaves the code as it is."""
    steps: int
    """Iterations N."""
    warm_start: bool
    """Start from the best single atom instead of α₀ = 0 (ours): a few steps then suffice."""
    lambda_max: float
    """First shrinkage threshold, relative to unit-norm correlations, in (0, 1)."""
    lambda_min: float
    """Last shrinkage threshold λ*; the ones between fall geometrically."""
    sigshrink_tau: float
    """Steepness τ of Eq. 9."""
    top_cells: int
    """The frame's residual term is the mean of this many highest cells (ours); 0: of all cells."""
    motion_cells: int
    """The frame's motion term is the mean of this many highest cells (ours); 0: of all cells."""
    motion_weight: float
    """Weight of the standardised motion term (ours); 0: neither it nor the still term."""
    motion: MotionKind
    """What the motion term measures; "difference" is an ablation."""
    residual_weight: float
    """Weight of the standardised residual term."""
    still_cells: int
    """The frame's still term is the mean of this many highest residuals among the cells where
    nothing moves (ours); 0: of all cells."""
    still_weight: float
    """Weight of the standardised still term beyond two spreads (ours)."""

    def __post_init__(self) -> None:
        """Check the values.

        Raises:
            ValueError: names the field, the value and what is wanted.
        """
        checks = (
            ("widths", _normalisable(self.widths), "four multiples of 8 from 16 on"),
            ("feature_channels", self.feature_channels >= 1, ">= 1"),
            ("clip_length", self.clip_length >= 1, ">= 1"),
            ("clip_interval_seconds", self.clip_interval_seconds > 0, "> 0"),
            ("receptive_field", self.receptive_field % 2 == 1, "odd"),
            ("window", self.window == 0 or self.window % 2 == 1, "odd, or 0"),
            ("cell_atoms", self.cell_atoms >= 0, ">= 0"),
            ("shared_atoms", self.shared_atoms >= 0, ">= 0"),
            ("steps", self.steps >= 1, ">= 1"),
            ("lambda_min", 0 < self.lambda_min <= self.lambda_max, "in (0, lambda_max]"),
            ("lambda_max", self.lambda_max < 1, "< 1"),
            ("top_cells", self.top_cells >= 0, ">= 0"),
            ("motion_cells", self.motion_cells >= 0, ">= 0"),
            ("motion_weight", self.motion_weight >= 0, ">= 0"),
            ("residual_weight", self.residual_weight > 0, "> 0"),
            ("still_weight", self.still_weight >= 0, ">= 0"),
            ("still_cells", self.still_cells >= 0, ">= 0"),
            ("motion_weight", self.motion_weight == 0 or self.clip_length > 1, "0 for one frame"),
            ("motion_weight", self.motion_weight == 0 or not self.colour, "0 for a colour network"),
        )
        for name, holds, wanted in checks:
            if not holds:
                raise ValueError(f"{name}: want {wanted}, got {getattr(self, name)!r}")

    @property
    def clip_seconds(self) -> float:
        """Duration of a clip."""
        return (self.clip_length - 1) * self.clip_interval_seconds

    @property
    def colour(self) -> bool:
        """Whether the network takes RGB clips; else grey ones."""
        return self.backbone == "resnet10"

    @property
    def stride(self) -> int:
        """Pixels between neighbouring feature cells."""
        return 32 if self.backbone == "resnet10" else 8

    def to_json(self) -> dict[str, object]:
        """Return plain data; `from_json` reverses it."""
        return asdict(self)

    @staticmethod
    def from_json(data: dict[str, object]) -> "SceneModelConfig":
        """Read what `to_json` wrote.

        Raises:
            ValueError: keys are missing or unknown, or a value is impossible.
        """
        known = {field.name for field in fields(SceneModelConfig)}
        # Checkpoints without widths have those of the presets.
        first = PAPER.widths if data.get("backbone") == "resnet10" else _FIRST_WIDTHS
        data = {"widths": first} | data
        if set(data) != known:
            raise ValueError(
                "want the keys of this version, "
                f"missing {', '.join(sorted(known - set(data))) or 'none'}, "
                f"unknown {', '.join(sorted(set(data) - known)) or 'none'}"
            )
        size = data["size_hw"]
        if not (isinstance(size, (list, tuple)) and len(size) == 2):
            raise ValueError(f"size_hw: want [height, width], got {size!r}")
        widths = data["widths"]
        if not isinstance(widths, (list, tuple)):
            raise ValueError(f"widths: want four numbers, got {widths!r}")
        return SceneModelConfig(
            **{
                **data,  # type: ignore[arg-type]
                "size_hw": (int(size[0]), int(size[1])),
                "widths": tuple(map(int, widths)),
            }
        )


def _normalisable(widths: tuple[int, ...]) -> bool:
    """Whether all give eight groups of at least two channels; PyTorch 2.13 crashes with one."""
    return len(widths) == 4 and all(width >= 16 and width % 8 == 0 for width in widths)


PAPER = SceneModelConfig(
    preset="paper",
    backbone="resnet10",
    widths=(32, 64, 128, 256),
    feature_channels=256,
    clip_length=1,
    clip_interval_seconds=0.1,
    size_hw=(240, 320),
    receptive_field=3,
    centre=True,
    normalise=True,
    window=0,
    cell_atoms=0,
    shared_atoms=0,
    coder="istc",
    shrinkage="soft",
    steps=8,
    warm_start=False,
    lambda_max=0.3,
    lambda_min=0.05,
    sigshrink_tau=10.0,
    top_cells=0,
    motion_cells=0,
    motion_weight=0.0,
    motion="flow",
    residual_weight=1.0,
    still_cells=0,
    still_weight=0.0,
)
"""The paper's model with stable numerics: unit-norm vectors, step 0.9/L, support mean removed."""

PAPER_5 = replace(PAPER, preset="paper-5", clip_length=5)
"""The paper's 5-frame variant (Appendix B.4)."""

VEDETTE = SceneModelConfig(
    preset="vedette",
    backbone="motion",
    widths=(24, 32, 64, 96),
    feature_channels=64,
    clip_length=5,
    clip_interval_seconds=0.1,
    size_hw=(240, 320),
    receptive_field=1,
    centre=False,
    normalise=True,
    window=3,
    cell_atoms=24,
    shared_atoms=128,
    coder="fista",
    shrinkage="nonnegative",
    steps=3,
    warm_start=True,
    lambda_max=0.3,
    lambda_min=0.1,
    sigshrink_tau=10.0,
    top_cells=20,
    motion_cells=6,
    motion_weight=1.0,
    motion="flow",
    residual_weight=0.3,
    still_cells=8,
    still_weight=0.5,
)
"""The default model (ours): five grey frames, stride 8, local and shared atoms, optical flow."""

PRESETS = {config.preset: config for config in (PAPER, PAPER_5, VEDETTE)}
