"""Ablations: rows of a configuration, each a model with one change.

A row changes the computation of energies (with the same network), or the support, or names the
weights of another training. Where the scale of the energies changes, the priors are measured again,
so that a row does not use the priors of another one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.progress import Progress

from models import SceneScorer
from models.config import SceneModelConfig
from models.scene_model import SceneModel
from pipeline.datasets.layout import Dataset
from pipeline.evaluation.results import EvaluationOptions
from pipeline.evaluation.runner import evaluate
from pipeline.evaluation.separation import ranks
from pipeline.training.measuring import Detector, OneFrame, StageScores

NETWORK_FIELDS = frozenset(
    {
        "preset",
        "backbone",
        "widths",
        "feature_channels",
        "clip_length",
        "clip_interval_seconds",
        "size_hw",
    }
)
"""Fields that no row may change, because they need another training."""


class AblationError(ValueError):
    """An ablation configuration that cannot be run: where, what was got, and what is wanted."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Row(_Section):
    """One row of the table."""

    name: str
    """Unique among all rows."""
    model: dict[str, Any] = Field(default_factory=dict)
    """Fields of `SceneModelConfig` that differ."""
    shots: int | None = Field(default=None, ge=1)
    """K; None: that of the whole configuration."""
    contaminated: float = Field(default=0.0, ge=0, le=1)
    """Probability of each support clip to contain a planted anomaly."""
    one_frame: bool = False
    """Clips repeat their newest frame; without motion and motion term."""
    weights: str | None = None
    """A checkpoint of another training, a path from the current folder."""


class Group(_Section):
    """Rows that belong together."""

    title: str
    rows: tuple[Row, ...] = Field(min_length=1)


class Ablations(_Section):
    """The whole configuration."""

    weights: str = "vedette"
    """Shipped name or path of the base model."""
    shots: int = Field(default=10, ge=1)
    draws: int = Field(default=3, ge=1)
    queries: int = Field(default=48, ge=1)
    """Normal clips a draw and scene, and as many planted ones."""
    groups: tuple[Group, ...] = Field(min_length=1)

    @property
    def rows(self) -> list[Row]:
        """All rows in order."""
        return [row for group in self.groups for row in group.rows]


def read_ablations(path: Path) -> Ablations:
    """Read a configuration.

    Raises:
        AblationError: it cannot be read, or a key or a value is wrong.
    """
    try:
        found = Ablations.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise AblationError(f"{path}: cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise AblationError(f"{path}: {place}: {first['msg']}, got {first['input']!r}") from error
    names = [row.name for row in found.rows]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise AblationError(f"{path}: want rows of different names, got {', '.join(twice)} twice")
    for row in found.rows:
        if row.shots is not None and row.shots > found.shots:
            raise AblationError(
                f"{path}: row {row.name!r}: want at most {found.shots} shots, got {row.shots}"
            )
    return found


def varied(model: SceneModel, row: Row) -> SceneModel:
    """The model with the changes of a row; the network is shared, not copied.

    Raises:
        AblationError: a field is unknown, belongs to the network, or has an impossible value.
    """
    changes = dict(row.model)
    if row.one_frame:
        changes.setdefault("motion_weight", 0.0)
    known = {field.name for field in fields(SceneModelConfig)}
    for name in changes:
        if name not in known:
            raise AblationError(f"row {row.name!r}: no model has a field {name!r}")
        if name in NETWORK_FIELDS:
            raise AblationError(f"row {row.name!r}: {name} takes another training; want weights")
    try:
        config = replace(model.config, **changes)
    except (TypeError, ValueError) as error:
        raise AblationError(f"row {row.name!r}: {error}") from error
    changed = (OneFrame if row.one_frame else SceneModel)(config)
    changed.backbone = model.backbone
    terms = changed.prior_mean.numel()
    if terms > model.prior_mean.numel():
        raise AblationError(f"row {row.name!r}: the weights have no motion term")
    changed.prior_mean = model.prior_mean[:terms].clone()
    changed.prior_spread = model.prior_spread[:terms].clone()
    return changed.eval().requires_grad_(False)


def needs_priors(row: Row) -> bool:
    """Whether the row's energies have another scale than the priors of its weights."""
    return row.weights is None and (bool(row.model) or row.one_frame)


def set_priors(model: SceneModel, mean: torch.Tensor, spread: torch.Tensor) -> None:
    """Set the priors of a model; a spread of 0 is not applied.

    Args:
        model: Changed in place.
        mean: (terms,).
        spread: (terms,).
    """
    model.prior_mean.copy_(mean)
    model.prior_spread.copy_(torch.where(spread > 0, spread, model.prior_spread))


@dataclass(frozen=True, slots=True)
class RowFigures:
    """Results of one row on the scenes."""

    auroc: float
    """Mean over scenes and draws, 0 … 1."""
    spread: float | None
    """Sample standard deviation over the draws of the mean over scenes; None for one draw."""
    residual: float
    """AUROC of the residual alone."""
    worst: tuple[str, float]
    """The worst scene and its AUROC."""
    contaminated: int
    """Number of contaminated support clips, over all scenes and draws."""


def row_figures(name: str, stages: Sequence[StageScores]) -> RowFigures:
    """Sum up a row over the scenes."""
    scenes = {stage.name: _aurocs(stage, name, "energy") for stage in stages}
    draws = [mean(draw) for draw in zip(*scenes.values(), strict=True)]
    worst = min(scenes, key=lambda scene: mean(scenes[scene]))
    return RowFigures(
        auroc=mean(draws),
        spread=stdev(draws) if len(draws) > 1 else None,
        residual=mean(mean(_aurocs(stage, name, "residual")) for stage in stages),
        worst=(worst, mean(scenes[worst])),
        contaminated=sum(stage.contaminated.get(name, 0) for stage in stages),
    )


def on_benchmark(
    dataset: Dataset, detector: Detector, shots: int, draws: int, progress: Progress
) -> tuple[float, float | None]:
    """Frame AUROC micro on a labelled benchmark, mean and standard deviation over the draws.

    Args:
        dataset: Its masks are not used.
        detector: Its support comes from Train, without contamination.
        shots: K, unless the detector has its own.
        draws: Number of supports.
        progress: Progress display.

    Raises:
        DatasetError, SourceError, SupportError: as `evaluate`.
    """
    model = detector.model
    scorer = SceneScorer(model, detector.name, next(model.parameters()).device)
    unmasked = replace(dataset, test=tuple(replace(clip, masks=None) for clip in dataset.test))
    options = EvaluationOptions(shots=detector.shots or shots, draws=draws)
    measured = evaluate(unmasked, scorer, options, progress)
    found = [draw.metrics.frame_auroc_micro for draw in measured.draws]
    return mean(found), stdev(found) if len(found) > 1 else None


def markdown(
    ablations: Ablations,
    found: Mapping[str, RowFigures],
    further: Mapping[str, Mapping[str, tuple[float, float | None]]],
) -> str:
    """Table in Markdown; rows that were not run are left out, AUROC in percent.

    Args:
        ablations: The rows in order.
        found: By name of the row, on the scenes.
        further: Heading of a further column → by name of the row its mean and spread.
    """
    headings = ["", "AUROC", "change", "residual alone", "worst scene", *further]
    lines = [_line(headings), "|" + "---|" * len(headings)]
    first = next((found[row.name] for row in ablations.rows if row.name in found), None)
    for group in ablations.groups:
        rows = [row for row in group.rows if row.name in found]
        if rows:
            lines.append(_line([f"**{group.title}**", *[""] * (len(headings) - 1)]))
        for row in rows:
            one = found[row.name]
            assert first is not None
            name = row.name
            if row.contaminated:
                name += f" ({one.contaminated} support clips in all)"
            cells = [
                name,
                _percent(one.auroc, one.spread),
                "" if one is first else f"{100 * (one.auroc - first.auroc):+.1f}",
                _percent(one.residual),
                f"{one.worst[0]}, {_percent(one.worst[1])}",
            ]
            cells += [
                _percent(*column[row.name]) if row.name in column else "–"
                for column in further.values()
            ]
            lines.append(_line(cells))
    return "\n".join(lines)


def _aurocs(stage: StageScores, name: str, score: str) -> list[float]:
    draws = stage.detectors[name, score]
    return [float(ranks(draw.planted, draw.normal).mean()) for draw in draws]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _percent(share: float, spread: float | None = None) -> str:
    return f"{100 * share:.1f}" + ("" if spread is None else f" ± {100 * spread:.1f}")
