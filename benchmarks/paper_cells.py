"""Cells of the paper's tables: what each is measured on, and the measuring itself."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from statistics import mean, stdev
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from rich.console import Console
from rich.progress import Progress
from torch import Tensor

from benchmarks.paper_figures import energies_over_steps, episodes, loss_curves, untrained
from cameras.sampling import resize
from models.baselines.methods import LEARNED, METHODS, SAME_WEIGHTS, UNLEARNED
from models.checkpoint import load_checkpoint
from pipeline.cli.methods import MethodOptions
from pipeline.datasets.avenue import load_avenue
from pipeline.datasets.layout import Dataset
from pipeline.datasets.mvtec import load_mvtec
from pipeline.datasets.ucsd import load_ucsd
from pipeline.evaluation.clip_scorer import ClipScorer
from pipeline.evaluation.report import to_json
from pipeline.evaluation.results import EvaluationOptions
from pipeline.evaluation.runner import evaluate
from pipeline.evaluation.separation import ranks
from pipeline.training.measuring_sampler import MeasuringSampler
from pipeline.training.scenes import SceneClip, load_scenes
from pipeline.training.validation import HeldOutScene, measuring_options

Data = Literal["ped1", "ped2", "avenue", "held-out", "inspection", "turned", "contaminated"]
Measure = Literal[
    "frame_auroc_micro",
    "category_auroc",
    "pixel_auroc",
    "iou",
    "aupro",
    "energy_normal",
    "energy_anomalous",
]
INSPECTION: tuple[Data, ...] = ("inspection", "turned", "contaminated")
HELD_OUT = (
    "hall_monitor",
    "cavignal_lawn",
    "highwayII",
    "intel_lobby_one_by_one",
    "ubnormal_normal_scene_28_scenario_7",
)
"""Scenes that no weights are trained on."""
_QUERIES = 24
_SIZE_HW = (240, 320)
_INSPECTION_SIZE_HW = (128, 128)


class PaperError(ValueError):
    """A configuration of tables that cannot be run: where, what was got, and what is wanted."""


class _PaperSection(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_PaperSection):
    """One column of a table."""

    title: str
    data: Data
    measure: Measure = "frame_auroc_micro"
    shots: int = Field(default=10, ge=1)
    turns: bool = False
    """Add flips and quarter turns of the support."""


class PaperRow(_PaperSection):
    """One row of a table."""

    title: str
    method: str | None = None
    """One of `models.baselines.methods.METHODS`; None: not measured."""
    weights: str | None = None
    """Checkpoint below the folder of checkpoints, or a shipped name; None: that of the method's
    name. {scene} is replaced by the name of the scene."""
    paper: tuple[float | None, ...] = ()
    """Figures of the paper in percent, one a column; empty: none known."""
    not_measured: str | None = None
    """Why there is no figure of ours."""

    @model_validator(mode="after")
    def _one_of_both(self) -> "PaperRow":
        if (self.method is None) == (self.not_measured is None):
            raise ValueError("want either a method or not_measured")
        if self.method is not None and self.method not in METHODS:
            raise ValueError(f"method: want {', '.join(METHODS)}, got {self.method!r}")
        return self


class PaperTable(_PaperSection):
    """One table of the paper."""

    title: str
    note: str
    """What differs in data and in method."""
    columns: tuple[Column, ...] = ()
    rows: tuple[PaperRow, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _as_many_figures_as_columns(self) -> "PaperTable":
        for row in self.rows:
            if row.paper and len(row.paper) != len(self.columns):
                raise ValueError(
                    f"{row.title}: want {len(self.columns)} figures of the paper, "
                    f"got {len(row.paper)}"
                )
        return self


class PaperFigure(_PaperSection):
    """One figure of the paper, as curves."""

    title: str
    note: str
    kind: Literal["losses", "samples"]
    weights: str | None = None
    """Checkpoint of the paper's model that samples; None: random weights."""
    iterations: int = Field(default=60, ge=6)
    """Training steps of each loss curve."""
    steps: int = Field(default=5, ge=1)
    """Langevin steps."""
    size_hw: tuple[int, int] = (64, 64)
    queries: int = Field(default=4, ge=1)

    @property
    def key(self) -> str:
        """Name in the file of results."""
        return f"figure: {self.model_dump_json(exclude={'title', 'note'})}"


class Paper(_PaperSection):
    """All tables and figures."""

    draws: int = Field(default=2, ge=1)
    tables: tuple[PaperTable, ...] = Field(min_length=1)
    figures: tuple[PaperFigure, ...] = ()


def read_paper(path: Path) -> Paper:
    """Read the configuration.

    Raises:
        PaperError: it cannot be read, or a key or a value is wrong.
    """
    try:
        return Paper.model_validate(yaml.safe_load(path.read_text()))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise PaperError(f"{path}: cannot be read: {error}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise PaperError(f"{path}: {place}: {first['msg']}") from error


@dataclass(frozen=True, slots=True)
class Cell:
    """One evaluation; several columns may show measures of the same one."""

    data: Data
    method: str
    weights: str | None
    shots: int
    turns: bool
    draws: int

    @staticmethod
    def of(row: PaperRow, column: Column, draws: int) -> "Cell":
        """The evaluation that a row needs for a column; the row has a method."""
        assert row.method is not None
        return Cell(column.data, row.method, row.weights, column.shots, column.turns, draws)

    @property
    def key(self) -> str:
        """Name in the file of results."""
        turns = ", turns" if self.turns else ""
        weights = f"={self.weights}" if self.weights else ""
        return f"{self.data}: {self.method}{weights}, {self.shots} shots, {self.draws} draws{turns}"


@dataclass(frozen=True)
class Places:
    """Folders of the data and of the checkpoints; a missing one leaves its cells out."""

    data: Mapping[Data, Path]
    checkpoints: Path
    _draws: dict[tuple[int, int], "list[_HeldOutDraw]"] = field(default_factory=dict)

    @cached_property
    def scenes(self) -> dict[str, list[SceneClip]]:
        """The scenes in colour, decoded once."""
        return load_scenes(self.data["held-out"], colour=True)

    @cached_property
    def sampler(self) -> MeasuringSampler:
        """Of clips to measure on."""
        return MeasuringSampler(self.scenes, measuring_options(_SIZE_HW), 0)

    def held_out(self, shots: int, draws: int) -> "list[_HeldOutDraw]":
        """Clips of the held-out scenes; the same for every method."""
        key = shots, draws
        if key not in self._draws:
            self._draws[key] = [
                _HeldOutDraw.of(scene.draw(shots, _QUERIES))
                for name in HELD_OUT
                for scene in [HeldOutScene(self.sampler, name)]
                for _ in range(draws)
            ]
        return self._draws[key]

    def weights(self, cell: Cell) -> str | None:
        """Checkpoint of a cell; None where the method has none."""
        if cell.method in UNLEARNED:
            return None
        name = cell.weights or SAME_WEIGHTS.get(cell.method, (cell.method,))[0]
        path = self.checkpoints / name
        first = str(path).replace("{scene}", "bolt")
        if Path(first + ".json").is_file():
            return str(path)
        if cell.method in ("model", "nearest"):
            return cell.weights  # a shipped name, or the default
        return str(path)


@dataclass(frozen=True, slots=True, eq=False)
class _HeldOutDraw:
    """Clips of one draw of one scene, uint8 (n, T, H, W, 3)."""

    support: npt.NDArray[np.uint8]
    normal: npt.NDArray[np.uint8]
    planted: npt.NDArray[np.uint8]

    @staticmethod
    def of(drawn: Any) -> "_HeldOutDraw":
        def pixels(clips: Tensor) -> npt.NDArray[np.uint8]:
            whole = (clips * 255).round().to(torch.uint8)
            return np.ascontiguousarray(whole.permute(0, 1, 3, 4, 2).numpy())

        return _HeldOutDraw(pixels(drawn.support), pixels(drawn.normal), pixels(drawn.planted))


def training_runs(folder: Path) -> dict[str, dict[str, Any]]:
    """What the checkpoints of baselines say of their training, by name."""
    found = {}
    for path in sorted(folder.glob("**/*.json")):
        head = json.loads(path.read_text())
        if head.get("kind") == "baseline":
            name = str(path.relative_to(folder).with_suffix(""))
            provenance = head["provenance"]
            found[name] = {
                "size_hw": head["size_hw"],
                "iterations": provenance["training"]["iterations"],
                "cpu_minutes": provenance["cpu_minutes"],
                "scenes": len(provenance["scenes"]),
            }
    return found


def measured(cell: Cell, places: Places, console: Console) -> dict[str, Any]:
    """Measure a cell.

    Returns:
        Measure → mean and standard deviation over the draws, both in percent but for energies;
        and the seconds it took.

    Raises:
        CheckpointError: the weights are missing or of another method.
        ValueError: as `pipeline.evaluation.runner.evaluate`.
    """
    started = time.process_time()
    weights = places.weights(cell)
    method = cell.method if weights is None else f"{cell.method}={weights}"
    size_hw = _INSPECTION_SIZE_HW if cell.data in INSPECTION else None
    if cell.method in LEARNED and not LEARNED[cell.method].any_size:
        size_hw = None
    if cell.data == "held-out":
        (scorer_of,) = MethodOptions((method,), size_hw).scorers("vedette", "cpu", ()).values()
        found = _on_held_out(scorer_of(""), places.held_out(cell.shots, cell.draws), cell.draws)
    else:
        found = _on_dataset(cell, _dataset(cell.data, places), method, size_hw, console)
    return {**found, "cpu_seconds": round(time.process_time() - started, 1)}


def drawn_figure(
    figure: PaperFigure, places: Places, picture: Path | None, console: Console
) -> dict[str, list[float]]:
    """Compute a figure; `picture` is a PNG to write where it has one.

    Raises:
        CheckpointError: the weights are missing.
        FloatingPointError: training or sampling diverged.
    """
    training = {name: clips for name, clips in places.scenes.items() if name not in HELD_OUT}
    if figure.kind == "losses":
        return loss_curves(training, figure.iterations, figure.size_hw, figure.queries, console)
    model = untrained(figure.size_hw, "soft")
    if figure.weights is not None:
        model, _ = load_checkpoint(places.checkpoints / figure.weights, torch.device("cpu"))
    episode = episodes(training, figure.size_hw, figure.queries).draw()
    return energies_over_steps(model.eval(), episode, figure.steps, picture)


def _dataset(data: Data, places: Places) -> Dataset:
    root = places.data[data]
    if data in INSPECTION:
        return load_mvtec(root)
    found = load_avenue(root) if data == "avenue" else load_ucsd(root, data)
    # The tables of video have frame figures alone, and maps of every draw cost time.
    return replace(found, test=tuple(replace(clip, masks=None) for clip in found.test))


def _on_dataset(
    cell: Cell,
    dataset: Dataset,
    method: str,
    size_hw: tuple[int, int] | None,
    console: Console,
) -> dict[str, Any]:
    names = [scene.name for scene in dataset.scenes]
    (scorer_of,) = MethodOptions((method,), size_hw).scorers("vedette", "cpu", names).values()
    options = EvaluationOptions(cell.shots, cell.draws, turned=cell.turns)
    with Progress(console=console) as progress:
        result = evaluate(dataset, scorer_of(names[0]), options, progress, scorer_of)
    data = to_json(result)
    labels = dataset.labels
    energies = [np.concatenate(draw.values) for draw in result.draws]
    found = {
        "frame_auroc_micro": _percent([one["frame_auroc_micro"] for one in data["draws"]]),
        "energy_normal": _summary([float(one[~labels].mean()) for one in energies]),
        "energy_anomalous": _summary([float(one[labels].mean()) for one in energies]),
    }
    if data["inspection"] is not None:
        aurocs = [one["frame_auroc_micro"]["mean"] for one in data["scenes"].values()]
        found["category_auroc"] = _percent([mean(aurocs)])
        for key, value in data["inspection"]["mean"].items():
            found[key] = _percent([value])
    return found


@torch.no_grad()
def _on_held_out(
    scorer: ClipScorer[Any], drawn: Sequence[_HeldOutDraw], draws: int
) -> dict[str, Any]:
    def fitted(clips: npt.NDArray[np.uint8]) -> Tensor:
        some = clips[:, -scorer.config.clip_length :]
        return torch.from_numpy(
            np.stack(
                [np.stack([resize(one, scorer.config.size_hw) for one in clip]) for clip in some]
            )
        )

    aurocs = []
    for draw in drawn:
        scene = scorer.adapt(fitted(draw.support))
        normal, planted = (
            scorer.score_in_each(fitted(clips), [scene])[0].energies.numpy().astype(np.float64)
            for clips in (draw.normal, draw.planted)
        )
        aurocs.append(float(ranks(planted, normal).mean()))
    by_draw = [mean(aurocs[number::draws]) for number in range(draws)]
    return {"frame_auroc_micro": _percent(by_draw)}


def _percent(values: Sequence[float]) -> dict[str, float | None]:
    return _summary([100 * value for value in values])


def _summary(values: Sequence[float]) -> dict[str, float | None]:
    return {"mean": mean(values), "std": stdev(values) if len(values) > 1 else None}
