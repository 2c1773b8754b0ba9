"""Ablations: what a row may change, what it shares with the others, and the table."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from makers import small_scorer, walking_box, write_images
from rich.console import Console
from rich.progress import Progress

from benchmarks import ablations as benchmark
from benchmarks.ablation_rows import (
    AblationError,
    Ablations,
    Row,
    markdown,
    needs_priors,
    on_benchmark,
    read_ablations,
    row_figures,
    set_priors,
    varied,
)
from models.checkpoint import save_checkpoint
from models.config import VEDETTE, SceneModelConfig
from models.scene_model import SceneModel
from pipeline.datasets.ucsd import load_ucsd
from pipeline.evaluation.results import EvaluationOptions
from pipeline.evaluation.runner import evaluate
from pipeline.evaluation.separation import DrawScores
from pipeline.training.measuring import Detector, OneFrame, StageScores
from pipeline.training.scenes import SceneClip
from pipeline.training.validation import measure_priors, measure_priors_of


def make_scenes(count: int = 3) -> dict[str, list[SceneClip]]:
    """Grounds on which a box walks."""
    scenes = {}
    for number in range(count):
        random = np.random.default_rng(number)
        pictures = np.repeat(random.integers(60, 160, (1, 48, 64), dtype=np.uint8), 40, axis=0)
        for t in range(40):
            x = int(25 + 20 * np.sin(t / 6 + number))
            pictures[t, 20:32, x : x + 8] = 230
        scenes[f"scene{number}"] = [SceneClip(f"scene{number}", pictures)]
    return scenes


def written(folder: Path, text: str) -> Path:
    path = folder / "ablations.yaml"
    path.write_text(text)
    return path


def test_the_shipped_configuration_can_be_run() -> None:
    found = read_ablations(benchmark.CONFIG)
    model = SceneModel(VEDETTE)
    configs = {row.name: varied(model, row).config for row in found.rows if row.weights is None}
    assert next(iter(configs.values())) == VEDETTE
    assert {config.coder for config in configs.values()} == {"fista", "istc", "nearest"}
    assert {config.receptive_field for config in configs.values()} == {1, 3}
    assert {row.shots for row in found.rows} >= {None, 1, 5}
    assert {row.contaminated for row in found.rows} >= {0.0, 0.01, 0.05, 0.1}
    unchanged = [
        row.name
        for row in found.rows
        if row.weights is None
        and configs[row.name] == VEDETTE
        and (row.shots, row.contaminated, row.one_frame) == (None, 0.0, False)
    ]
    assert unchanged == [found.rows[0].name]
    assert all(row.weights.startswith("runs/") for row in found.rows if row.weights is not None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("groups: []", "groups: .*at least 1"),
        ("groups: [{title: a, rows: [{name: b, shot: 3}]}]", r"rows\.0\.shot: .*got 3"),
        (
            "groups: [{title: a, rows: [{name: b, contaminated: 2}]}]",
            "less than or equal to 1, got 2",
        ),
        ("groups: [{title: a, rows: [{name: b}, {name: b}]}]", "got b twice"),
        ("shots: 3\ngroups: [{title: a, rows: [{name: b, shots: 5}]}]", "at most 3 shots, got 5"),
        ("groups: [", "cannot be read"),
    ],
)
def test_a_wrong_configuration_is_named(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(AblationError, match=f"ablations.yaml: .*{message}"):
        read_ablations(written(tmp_path, text))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coderr": "istc"}, "no model has a field 'coderr'"),
        ({"clip_length": 3}, "clip_length takes another training"),
        ({"steps": 0}, "steps: want >= 1, got 0"),
    ],
)
def test_what_a_row_cannot_change_is_named(changes: dict[str, object], message: str) -> None:
    with pytest.raises(AblationError, match=f"row 'odd': {message}"):
        varied(small_scorer().model, Row(name="odd", model=changes))


def test_rows_share_the_network_and_nothing_else() -> None:
    model = small_scorer().model
    with torch.no_grad():
        model.prior_mean.copy_(torch.tensor([0.3, -4.0, 0.2]))
    still = varied(model, Row(name="still", one_frame=True))
    assert isinstance(still, OneFrame)
    assert still.backbone is model.backbone
    assert still.prior_mean.tolist() == pytest.approx([0.3])
    other = varied(model, Row(name="other", model={"top_cells": 1}))
    set_priors(other, torch.tensor([0.5, -3.0, 0.2]), torch.tensor([0.1, 0.0, 0.1]))
    assert other.prior_mean.tolist() == pytest.approx([0.5, -3.0, 0.2])
    assert other.prior_spread.tolist() == pytest.approx([0.1, float(model.prior_spread[1]), 0.1])
    assert model.prior_mean.tolist() == pytest.approx([0.3, -4.0, 0.2])
    with pytest.raises(AblationError, match="have no motion term"):
        varied(still, Row(name="again", model={"motion_weight": 1.0}))


def test_priors_are_measured_where_the_energies_change() -> None:
    assert not needs_priors(Row(name="a"))
    assert not needs_priors(Row(name="a", shots=1))
    assert not needs_priors(Row(name="a", weights="runs/b"))
    assert needs_priors(Row(name="a", one_frame=True))
    assert needs_priors(Row(name="a", model={"steps": 1}))


def test_priors_of_several_models_are_those_of_each() -> None:
    model = small_scorer().model
    models = [model, varied(model, Row(name="one", model={"coder": "nearest", "top_cells": 3}))]
    together = measure_priors_of(models, make_scenes(2), shots=3, queries=3)
    for one, (mean, spread) in zip(models, together, strict=True):
        alone = measure_priors(one, make_scenes(2), shots=3, queries=3)
        assert torch.allclose(mean, alone[0])
        assert torch.allclose(spread, alone[1])
    assert not torch.allclose(together[0][0], together[1][0])


def stage(name: str, *normals: float) -> StageScores:
    """Two draws of one planted clip with score 2 each, against one normal clip."""
    draws = [DrawScores(np.array([normal]), np.array([2.0]), ()) for normal in normals]
    detectors = {(row, score): draws for row in "ab" for score in ("energy", "residual")}
    return StageScores(name, detectors, [("thing",)] * 2, {"a": 0, "b": 3})


def test_a_row_sums_up_its_scenes() -> None:
    found = row_figures("b", [stage("yard", 1.0, 3.0), stage("hall", 1.0, 2.0)])
    assert found.auroc == pytest.approx((1 + 0 + 1 + 0.5) / 4)
    assert found.spread == pytest.approx(0.75 / 2**0.5)
    assert found.worst == ("yard", 0.5)
    assert found.contaminated == 6
    assert row_figures("a", [stage("yard", 1.0)]).spread is None


def test_the_table_is_markdown() -> None:
    rows = [{"name": "a"}, {"name": "gone", "weights": "runs/gone"}]
    config = Ablations.model_validate(
        {
            "groups": [
                {"title": "First", "rows": rows},
                {"title": "Support", "rows": [{"name": "b", "contaminated": 0.5}]},
            ]
        }
    )
    yard, hall = stage("yard", 1.0, 1.0), stage("hall", 3.0, 1.0)
    found = {"a": row_figures("a", [yard]), "b": row_figures("b", [yard, hall])}
    assert markdown(config, found, {"Ped2, micro": {"a": (0.924, 0.006)}}).splitlines() == [
        "|  | AUROC | change | residual alone | worst scene | Ped2, micro |",
        "|---|---|---|---|---|---|",
        "| **First** |  |  |  |  |  |",
        "| a | 100.0 ± 0.0 |  | 100.0 | yard, 100.0 | 92.4 ± 0.6 |",
        "| **Support** |  |  |  |  |  |",
        "| b (6 support clips in all) | 75.0 ± 35.4 | -25.0 | 75.0 | hall, 50.0 | – |",
    ]


def test_a_row_on_a_labelled_benchmark_is_what_the_evaluation_says(tmp_path: Path) -> None:
    place = tmp_path / "UCSDped2"
    for name in ("Train/Train001", "Test/Test001"):
        write_images(place / name, walking_box(14))
    for number in range(9, 15):
        write_images(tmp_path / "odd", [np.full((48, 64, 3), 255 * (number % 2), np.uint8)])
        (tmp_path / "odd" / "001.png").replace(place / "Test" / "Test001" / f"{number:03}.png")
    (place / "Test" / "UCSDped2.m").write_text("x.gt_frame = [9:14];\n")
    dataset = load_ucsd(place, "ped2")
    scorer = small_scorer()
    still = varied(scorer.model, Row(name="still", one_frame=True))
    with Progress(console=Console(quiet=True)) as progress:
        wanted = evaluate(dataset, scorer, EvaluationOptions(shots=2, draws=2), progress)
        detector = Detector("as it is", scorer.model)
        found = on_benchmark(dataset, detector, 2, 2, progress)
        single = on_benchmark(dataset, Detector("still", still, shots=1), 2, 1, progress)
    aurocs = [draw.metrics.frame_auroc_micro for draw in wanted.draws]
    assert found == (pytest.approx(np.mean(aurocs)), pytest.approx(np.std(aurocs, ddof=1)))
    assert 0 <= single[0] <= 1
    assert single[1] is None


def test_the_benchmark_measures_what_is_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config: SceneModelConfig = replace(small_scorer().config, shared_atoms=16, cell_atoms=4)
    model = SceneModel(config)
    model.load_state_dict(small_scorer().model.state_dict())
    save_checkpoint(model, tmp_path / "tiny", {"held_out": ["scene0"], "scenes": ["scene1"]})
    text = f"""
weights: {tmp_path / "tiny"}
shots: 3
draws: 2
queries: 3
groups:
  - title: All
    rows:
      - name: as it is
      - {{name: nearest, model: {{coder: nearest}}}}
      - {{name: still, one_frame: true}}
      - {{name: contaminated, contaminated: 1.0}}
      - {{name: elsewhere, weights: {tmp_path / "nowhere"}}}
"""
    monkeypatch.setattr(benchmark, "scene_files", lambda _: dict.fromkeys(make_scenes(), ()))
    monkeypatch.setattr(benchmark, "load_scenes", lambda *_, **__: make_scenes())
    path, out = written(tmp_path, text), tmp_path / "table.md"
    arguments = ["ablations", str(tmp_path), "--config", str(path), "--out", str(out)]
    monkeypatch.setattr("sys.argv", arguments)
    benchmark.main()
    printed = capsys.readouterr()
    assert f"left out: elsewhere: no checkpoint {tmp_path / 'nowhere'}" in " ".join(
        printed.err.split()
    )
    lines = out.read_text().splitlines()
    assert printed.out.splitlines() == lines
    assert [line.split(" | ")[0] for line in lines[3:]] == [
        "| as it is", "| nearest", "| still", "| contaminated (6 support clips in all)"
    ]  # fmt: skip
    assert all("scene0" in line for line in lines[3:])
    assert len({line.split(" | ")[1] for line in lines[3:]}) > 1

    rows = benchmark.present(read_ablations(path), Console(quiet=True))
    networks = {
        id(detector.model.backbone)
        for detector in benchmark.make_detectors(read_ablations(path), rows, "cpu")
    }
    assert len(networks) == 1
