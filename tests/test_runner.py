"""The evaluation on a made benchmark: a box walks, and in the test clips it sometimes flickers."""

import io
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from makers import FLICKER_FRAMES as FRAMES
from makers import small_scorer, write_flickers
from rich.console import Console
from rich.progress import Progress
from typer.testing import CliRunner

from cameras import Picture
from models import SceneScorer
from models.checkpoint import save_checkpoint
from pipeline.cli.evaluate import evaluate as command
from pipeline.cli.main import app
from pipeline.datasets.layout import Dataset, DatasetError, read_frames
from pipeline.datasets.ucsd import load_ucsd
from pipeline.evaluation.alarms import AlarmOptions
from pipeline.evaluation.html_report import html_report
from pipeline.evaluation.plots import write_plots
from pipeline.evaluation.report import protocol, to_json
from pipeline.evaluation.results import Evaluation, EvaluationOptions
from pipeline.evaluation.runner import evaluate
from pipeline.evaluation.scoring import batched, score_clip
from pipeline.evaluation.sheets import as_table, sheets
from pipeline.evaluation.smoothing import exponential, field_post_processing
from pipeline.evaluation.supports import SupportError, draw_supports, whole_clips
from pipeline.evaluation.truncated_history import adapt_truncated


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_ucsd(write_flickers(tmp_path_factory.mktemp("made")), "ped2")


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
    scenes = [adapt_truncated(scorer, torch.from_numpy(support))]
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
        "field_post_processing",
        "localisation",
        "inspection",
        "alarms",
        "scenes",
        "clips",
        "kinds",
        "terms",
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


def printed(evaluation: Evaluation) -> str:
    written = io.StringIO()
    console = Console(width=120, file=written)
    for sheet in sheets(evaluation):
        console.print(as_table(sheet))
    return written.getvalue()


def test_tables_set_the_trivial_rows_beside_the_model(evaluation: Evaluation) -> None:
    text = printed(evaluation)
    for part in ("UCSD Ped2, 3 of 4 clips", "vedette, 3-shot", "seed 8", "frame index", "±"):
        assert part in text


def test_field_post_processing_stands_apart_from_the_headline(evaluation: Evaluation) -> None:
    headline, field = sheets(evaluation)[:2]
    assert "field post-processing" not in headline.title
    assert "field post-processing (not causal)" in field.title
    assert "uses future frames" in field.note
    result = to_json(evaluation)["field_post_processing"]
    assert list(result["baselines"]) == ["frame_index", "frame_difference"]
    assert result["mean"] != to_json(evaluation)["mean"]


def test_field_post_processing_scales_then_smooths_without_pulling_the_ends_down() -> None:
    values = np.array([2.0, 2.0, 6.0, 2.0, 4.0])
    np.testing.assert_allclose(field_post_processing(values, 0.0), [0.0, 0.0, 1.0, 0.0, 0.5])
    np.testing.assert_allclose(
        field_post_processing(np.array([0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]), 0.5)[[0, -1]],
        [0.0, 1.0],
        atol=1e-3,
    )
    smoothed = field_post_processing(np.array([0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0]), 1.0)
    np.testing.assert_allclose(smoothed, smoothed[::-1])  # centred: it looks ahead
    assert 0.3 < smoothed[3] < 0.5
    np.testing.assert_array_equal(field_post_processing(np.full(3, 7.0), 2.0), np.zeros(3))


def test_localisation_of_the_flicker(evaluation: Evaluation) -> None:
    found = to_json(evaluation)["localisation"]
    assert found["clips"] == 2  # the third has no masks
    assert found["mean"]["pixel_auroc"] > 0.9
    assert found["mean"]["rbdc"] > 0.2
    assert found["mean"]["tbdc"] >= found["mean"]["rbdc"]
    assert list(found["baselines"]["frame_difference"]) == ["pixel_auroc", "rbdc", "tbdc", "iou"]
    assert found["std"]["rbdc"] is not None
    assert "2 of 3 test clips have masks" in sheets(evaluation)[2].note


def test_no_masks_no_localisation(dataset: Dataset, scorer: SceneScorer) -> None:
    bare = replace(dataset, test=tuple(replace(clip, masks=None) for clip in dataset.test))
    result = run(bare, scorer, EvaluationOptions(shots=2, draws=1))
    assert to_json(result)["localisation"] is None
    assert "localisation" not in printed(result)


def test_masks_must_fit_the_frames(dataset: Dataset, scorer: SceneScorer) -> None:
    def too_few() -> Iterator[np.ndarray]:
        yield np.zeros((48, 64), dtype=bool)

    clips = (replace(dataset.test[0], masks=too_few), *dataset.test[1:])
    with pytest.raises(DatasetError, match=r"Test001: want 16 masks, as many as frames, got 1"):
        run(replace(dataset, test=clips), scorer, EvaluationOptions(shots=2, draws=1))


def test_live_measures_find_the_flickers(evaluation: Evaluation) -> None:
    found = to_json(evaluation)["alarms"]
    assert (found["events"], found["normal_seconds"]) == (2, 3.6)
    assert found["mean"]["event_recall"] == 1.0
    assert found["mean"]["time_to_detect_seconds"] < 0.5
    assert "one false alarm in it is 24,000 a day" in sheets(evaluation)[3].note


def test_html_report_is_one_file_with_everything_escaped(evaluation: Evaluation) -> None:
    hostile = replace(
        evaluation, dataset=replace(evaluation.dataset, title="<script>alert('&')</script>")
    )
    page = html_report(hostile)
    assert "<script" not in page
    assert "&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;" in page
    assert not re.search(r"(src|href)=\"(?!data:image/(png|jpeg);base64,)", page)
    assert page.count("data:image/png;base64,") == 4
    for part in ("AUROC micro", "frame difference", "pixel AUROC", "false alarms a camera-day"):
        assert part in page
    assert parsed_tags(page)[0] == "html"


def parsed_tags(page: str) -> list[str]:
    """Tags in the order in which they open; fails where one is left open."""
    opened: list[str] = []
    seen: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            seen.append(tag)
            if tag not in ("meta", "img"):
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Reader().feed(page)
    assert not opened
    return seen


def test_the_command_writes_what_was_asked_for(
    dataset: Dataset, scorer: SceneScorer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_checkpoint(scorer.model, tmp_path / "small", {})
    data, page = tmp_path / "out" / "result.json", tmp_path / "out" / "result.html"
    command(
        "ucsd-ped2",
        dataset.test[0].path.parents[1],
        EvaluationOptions(shots=2, draws=1),
        str(tmp_path / "small"),
        "cpu",
        json_path=data,
        plots_folder=None,
        report_path=page,
    )
    result = json.loads(data.read_text())
    written = page.read_text(encoding="utf-8")
    assert result["model"] in written
    assert f"{100 * result['mean']['frame_auroc_micro']:.1f}" in written
    assert "UCSD Ped2, 3 of 4 clips: every clip" in " ".join(capsys.readouterr().out.split())
    assert sorted(path.name for path in data.parent.iterdir()) == ["result.html", "result.json"]


def test_the_false_alarms_asked_for_reach_the_evaluation(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[EvaluationOptions] = []
    monkeypatch.setattr(
        "pipeline.cli.evaluate.evaluate", lambda name, root, options, *_: asked.append(options)
    )
    rates = ["--false-alarms", "24", "--false-alarms", "1"]
    for arguments in ([], rates[:2], rates):
        result = CliRunner().invoke(app, ["evaluate", "avenue", "--root", ".", *arguments])
        assert result.exit_code == 0, result.output
    assert [options.alarms.false_alarms_per_day for options in asked] == [None, 24.0, 24.0]
    assert [options.further_rates for options in asked] == [(), (), (1.0,)]


def test_the_live_measures_say_what_was_asked_for(dataset: Dataset, scorer: SceneScorer) -> None:
    asked = AlarmOptions(false_alarms_per_day=0.0)
    result = run(dataset, scorer, EvaluationOptions(shots=2, draws=1, alarms=asked))
    found = to_json(result)["alarms"]
    assert (found["wanted_event_recall"], found["wanted_false_alarms_per_day"]) == (None, 0.0)
    assert found["mean"]["false_alarms_per_day"] == 0.0
    assert "at most 0 false alarms a camera-day" in sheets(result)[3].note


def test_further_rates_have_rows_of_the_same_energies(
    dataset: Dataset, scorer: SceneScorer
) -> None:
    half, rate = AlarmOptions(event_recall=0.5), AlarmOptions(false_alarms_per_day=12.0)
    result = run(
        dataset,
        scorer,
        EvaluationOptions(shots=2, draws=1, alarms=half, further_rates=(12.0,)),
    )
    asked = run(dataset, scorer, EvaluationOptions(shots=2, draws=1, alarms=rate))
    assert result.alarms is not None
    assert asked.alarms is not None
    (further,) = result.alarms.further
    assert (further.draws, further.difference) == (asked.alarms.draws, asked.alarms.difference)
    assert further.draws != result.alarms.draws
    (in_json,) = to_json(result)["alarms"]["further"]
    assert in_json["wanted_false_alarms_per_day"] == 12.0
    assert in_json["mean"]["event_recall"] == 1.0
    names = [row.cells[0] for section in sheets(result)[3].sections for row in section]
    assert names[2:] == [f"{names[0]}, 12 a day", "frame difference, 12 a day"]


def test_plots_are_pictures(evaluation: Evaluation, tmp_path: Path) -> None:
    paths = write_plots(evaluation, tmp_path / "new")
    assert [path.name for path in paths] == [
        "roc.png",
        "scores.png",
        "heatmaps.png",
        "alarms.png",
    ]
    for path in paths:
        picture = cv2.imread(str(path))
        assert picture is not None
        assert picture.std() > 5


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
