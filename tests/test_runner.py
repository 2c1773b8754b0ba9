"""The evaluation on a made benchmark: a box walks, and in the test clips it sometimes flickers."""

import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from makers import small_scorer, walking_box
from rich.console import Console
from rich.progress import Progress

from cameras import Picture
from models import SceneScorer
from pipeline.datasets.layout import Dataset
from pipeline.datasets.reading import read_frames
from pipeline.datasets.ucsd import load_ucsd
from pipeline.evaluation.plots import intervals, write_plots
from pipeline.evaluation.report import protocol, table, to_json
from pipeline.evaluation.runner import Evaluation, EvaluationOptions, batched, evaluate, score_clip
from pipeline.evaluation.smoothing import exponential
from pipeline.evaluation.supports import SupportError, draw_supports, whole_clips

FRAMES = 16


def write_clip(folder: Path, flickers: range = range(0)) -> None:
    folder.mkdir(parents=True)
    for number, picture in enumerate(walking_box(FRAMES)):
        if number in flickers:
            picture[4:30, 40:60] = 255 * (number % 2)
        cv2.imwrite(str(folder / f"{number + 1:03d}.png"), picture)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    place = tmp_path_factory.mktemp("made") / "UCSDped2"
    write_clip(place / "Train" / "Train001")
    write_clip(place / "Train" / "Train002")
    write_clip(place / "Test" / "Test001", range(8, 16))
    write_clip(place / "Test" / "Test002", range(3, 7))
    write_clip(place / "Test" / "Test003")
    (place / "Test" / "UCSDped2.m").write_text(
        "x.gt_frame = [9:16];\nx.gt_frame = [4:7];\nx.gt_frame = [];\nx.gt_frame = [1:2];\n"
    )
    return load_ucsd(place, "ped2")


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return small_scorer()


@pytest.fixture(scope="module")
def evaluation(dataset: Dataset, scorer: SceneScorer) -> Evaluation:
    return run(dataset, scorer, EvaluationOptions(shots=3, draws=2, seed=7, batch_size=5))


def run(dataset: Dataset, scorer: SceneScorer, options: EvaluationOptions) -> Evaluation:
    with Progress(console=Console(quiet=True)) as progress:
        return evaluate(dataset, scorer, options, progress)


def energies(evaluation: Evaluation, draw: int = 0) -> np.ndarray:
    return np.concatenate(evaluation.draws[draw].values)


def test_finds_the_planted_flicker(evaluation: Evaluation) -> None:
    # Even random features see that something moves where nothing did.
    assert all(draw.metrics.frame_auroc_micro > 0.9 for draw in evaluation.draws)
    assert [row.name for row in evaluation.baselines] == [
        "constant",
        "frame_index",
        "frame_difference",
    ]
    assert evaluation.baselines[0].metrics.frame_auroc_micro == 0.5


def test_same_seeds_give_the_same_energies(
    dataset: Dataset, scorer: SceneScorer, evaluation: Evaluation
) -> None:
    again = run(dataset, scorer, EvaluationOptions(shots=3, draws=1, seed=8, batch_size=16))
    # The second draw of the one is the first of the other; batches are of no account.
    np.testing.assert_allclose(energies(again), energies(evaluation, draw=1), atol=1e-5)
    assert not np.allclose(energies(evaluation, 0), energies(evaluation, 1))


def test_scores_are_causal(dataset: Dataset, scorer: SceneScorer, tmp_path: Path) -> None:
    (support,) = draw_supports([read_frames(dataset.train[0])], scorer.config, 2, [0], "Train001")
    scenes = [scorer.adapt(torch.from_numpy(support))]
    whole = dataset.test[0]
    assert whole.labels is not None
    for name in ("001", "002", "003", "004", "005", "006", "007", "008", "009"):
        shutil.copy(whole.path / f"{name}.png", tmp_path)
    begun = replace(whole, path=tmp_path, labels=whole.labels[:9])
    of_begun = score_clip(begun, scorer, scenes, 4, lambda count: None)
    of_whole = score_clip(whole, scorer, scenes, 4, lambda count: None)
    np.testing.assert_allclose(of_whole.energies[0][:9], of_begun.energies[0], atol=1e-5)
    np.testing.assert_array_equal(of_whole.differences[:9], of_begun.differences)


def test_highlight_is_the_frame_with_the_highest_energy(evaluation: Evaluation) -> None:
    for highlight, values in zip(evaluation.highlights, evaluation.draws[0].values, strict=True):
        assert highlight.index == int(values.argmax())
        assert highlight.energy == pytest.approx(float(values.max()))
        assert highlight.pixels.shape == (48, 64, 3)
        assert highlight.anomaly_map.shape == (6, 8)


def test_json_holds_what_scripts_rely_on(evaluation: Evaluation) -> None:
    result = json.loads(json.dumps(to_json(evaluation), allow_nan=False))
    assert list(result) == [
        "dataset",
        "model",
        "shots",
        "protocol",
        "frames",
        "draws",
        "mean",
        "std",
        "baselines",
        "seconds",
        "frames_per_second",
        "smoothed",
    ]
    metrics = ["frame_auroc_micro", "frame_auroc_macro", "eer", "average_precision"]
    assert result["dataset"] == "ucsd-ped2, 3 of 4 clips"
    assert result["frames"] == 3 * FRAMES
    assert [list(draw) for draw in result["draws"]] == [["seed", *metrics]] * 2
    assert [draw["seed"] for draw in result["draws"]] == [7, 8]
    assert list(result["baselines"]) == ["frame_index", "frame_difference"]
    for summary in (result["mean"], result["std"], *result["baselines"].values()):
        assert list(summary) == metrics
    micro = [draw["frame_auroc_micro"] for draw in result["draws"]]
    assert result["mean"]["frame_auroc_micro"] == pytest.approx(np.mean(micro))
    assert result["std"]["frame_auroc_micro"] == pytest.approx(np.std(micro, ddof=1))


def test_smoothing_uses_the_past_alone_and_starts_at_the_first_value() -> None:
    values = np.array([4.0, 0.0, 0.0, 8.0])
    times = np.array([0.0, 0.5, 1.0, 2.0])
    smoothed = exponential(values, times, 0.5)
    np.testing.assert_allclose(smoothed[:3], 4.0 * np.exp([0.0, -1.0, -2.0]))
    assert smoothed[3] == pytest.approx(8.0 + np.exp(-2.0) * (smoothed[2] - 8.0))
    np.testing.assert_array_equal(exponential(values[:3], times[:3], 0.5), smoothed[:3])
    np.testing.assert_array_equal(exponential(values, times, 0.0), values)


def test_smoothed_rows_stand_beside_the_raw_ones(evaluation: Evaluation) -> None:
    smoothed = to_json(evaluation)["smoothed"]
    assert smoothed["time_constant_seconds"] == 0.5
    raw, other = evaluation.draws[0].values, evaluation.smoothed_draws[0].values
    for before, after in zip(raw, other, strict=True):
        assert after[0] == before[0]
        assert np.diff(after).std() < np.diff(before).std()


def test_one_draw_has_no_spread(evaluation: Evaluation) -> None:
    single = replace(
        evaluation, draws=evaluation.draws[:1], options=replace(evaluation.options, draws=1)
    )
    assert set(to_json(single)["std"].values()) == {None}
    assert "one draw (seed 7)" in protocol(single)


def test_protocol_says_what_was_done(evaluation: Evaluation) -> None:
    text = protocol(evaluation)
    for part in (
        "3 clips drawn at random from Train",
        "2 draws (seeds 7 to 8)",
        "causally from 5 frames 0.1 s apart",
        "macro over the 2 of 3 test clips with both classes",
    ):
        assert part in text


def test_table_sets_the_trivial_rows_beside_the_model(evaluation: Evaluation) -> None:
    written = io.StringIO()
    Console(width=100, file=written).print(table(evaluation))
    text = written.getvalue()
    for part in ("UCSD Ped2, 3 of 4 clips", "vedette, 3-shot", "seed 8", "frame index", "±"):
        assert part in text


def test_plots_are_pictures(evaluation: Evaluation, tmp_path: Path) -> None:
    paths = write_plots(evaluation, tmp_path / "new")
    assert [path.name for path in paths] == ["roc.png", "scores.png", "heatmaps.png"]
    for path in paths:
        picture = cv2.imread(str(path))
        assert picture is not None
        assert picture.std() > 5


def test_intervals_of_labels() -> None:
    labels = np.array([1, 0, 0, 1, 1, 0, 1], dtype=bool)
    assert intervals(labels) == [(0, 0), (3, 4), (6, 6)]
    assert intervals(np.zeros(3, dtype=bool)) == []


def test_more_shots_than_train_frames(dataset: Dataset, scorer: SceneScorer) -> None:
    options = EvaluationOptions(shots=25, draws=1)
    with pytest.raises(SupportError, match=r"UCSD Ped2, Train: want 25 support clips.* got 24"):
        run(dataset, scorer, options)


def test_supports_are_whole_clips_drawn_evenly_without_repetition(scorer: SceneScorer) -> None:
    def video() -> Iterator[Picture]:
        for number in range(12):
            level = np.full((48, 64, 3), 20 * number, dtype=np.uint8)
            yield Picture(number / 10, 0.0, level)

    first = next(whole_clips(video(), scorer.config))
    assert first[:, 0, 0, 0].tolist() == [0, 20, 40, 60, 80]
    newest = [
        [int(clip[-1, 0, 0, 0]) // 20 for clip in support]
        for support in draw_supports([video()], scorer.config, 4, range(600), "made")
    ]
    assert all(len(set(frames)) == 4 for frames in newest)
    counts = np.bincount(np.concatenate(newest), minlength=12)
    assert counts[:4].tolist() == [0, 0, 0, 0]  # their past is not whole
    assert np.abs(counts[4:] - 300).max() < 60  # 8 frames, half of them in each draw


def test_batches_end_with_what_is_left() -> None:
    pictures = [Picture(float(number), 0.0, np.zeros((1, 1, 3), np.uint8)) for number in range(5)]
    assert [len(batch) for batch in batched(pictures, 2)] == [2, 2, 1]
