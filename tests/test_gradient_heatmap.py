"""The gradient heatmap |∇ₓE|: of every preset, in replay, in the evaluation, and of live events."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from makers import CLIP_HW, make_clips, small_scorer, walking_box, write_flickers, write_video
from rich.console import Console
from rich.progress import Progress
from stage_parts import (
    CollectingSink,
    noise_frames,
    scoring,
    send_all,
    small_config,
    worker_context,
)

from cameras import SourceOptions, open_source
from models import PRESETS, SceneScorer
from models.calibrator import CalibratorSettings
from models.energy import residual_energy
from models.heatmap import POOLED_PIXELS, pooled
from models.inputs import colour_clips, colour_input
from pipeline.alerts.camera_watch import SnapshotFrame
from pipeline.alerts.event_pictures import EventPictures
from pipeline.datasets.ucsd import load_ucsd
from pipeline.evaluation.html_report import html_report
from pipeline.evaluation.replay import ReplayedFrame, replay
from pipeline.evaluation.report import to_json
from pipeline.evaluation.results import Evaluation, EvaluationOptions
from pipeline.evaluation.runner import evaluate
from pipeline.evaluation.sheets import localisation_sheet
from pipeline.events.drawing import in_scale_of
from pipeline.events.event import Event
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scoring.gradient_frames import GradientFrames
from pipeline.transport.messages import ScoreMessage
from pipeline.worker import RunInfo

ALERT = {"enter": 0.4, "exit": 0.3}


@pytest.mark.parametrize("preset", ["paper", "paper-5"])
def test_the_gradient_in_colour_agrees_with_finite_differences(preset: str) -> None:
    scorer = SceneScorer.untrained(preset, seed=0)
    length = scorer.config.clip_length
    scene = scorer.adapt(make_clips(3, length, seed=1))
    clip = make_clips(1, length, seed=3, intruder=True)[0]
    heat = scorer.pixel_heatmap(clip, scene)
    assert heat.shape == CLIP_HW
    assert float(heat.median()) > 0
    scorer.model.double()
    names = ("own", "shared", "mean", "step")
    tensors = {name: getattr(scene.dictionary, name).double() for name in names}
    dictionary = replace(scene.dictionary, **tensors)
    pixels = colour_clips(clip[None]).double()
    y, x = divmod(int(heat.argmax()), CLIP_HW[1])

    def energy(change: float, colour: int) -> float:
        moved = pixels.clone()
        moved[0, -1, colour, y, x] += change
        with torch.no_grad():
            features = scorer.model.backbone(colour_input(moved))
            return float(residual_energy(features, dictionary, scorer.config).sum())

    slopes = [(energy(1e-6, colour) - energy(-1e-6, colour)) / 2e-6 for colour in range(3)]
    assert sum(map(abs, slopes)) == pytest.approx(float(heat[y, x]), rel=0.02)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_maps_of_a_batch_in_several_scenes_are_those_of_each_clip(preset: str) -> None:
    scorer = SceneScorer.untrained(preset, seed=0)
    length = scorer.config.clip_length
    scenes = [scorer.adapt(make_clips(3, length, seed=seed)) for seed in (1, 2)]
    clips = make_clips(2, length, seed=3, intruder=True)
    found = scorer.gradient_maps(clips, [*scenes, scenes[0]])
    assert [maps.shape for maps in found] == [(2, 64 // POOLED_PIXELS, 80 // POOLED_PIXELS)] * 3
    torch.testing.assert_close(found[0], found[2])
    alone = pooled(scorer.pixel_heatmap(clips[1], scenes[1])[None])[0]
    torch.testing.assert_close(found[1][1], alone, rtol=1e-3, atol=1e-5)


def test_a_heatmap_is_drawn_as_strong_as_the_anomaly_map() -> None:
    gradient = np.array([[0.0, 0.001], [0.002, 0.004]], np.float16)
    cells = np.array([[0.3, 1.8, np.nan]], np.float32)
    shown = in_scale_of(gradient, cells)
    assert shown[0, 0] == 0
    assert shown.max() == shown[1, 1] == pytest.approx(1.8, rel=1e-3)
    assert not in_scale_of(np.zeros((2, 2), np.float32), cells).any()
    assert not in_scale_of(gradient, np.full((1, 1), -1.0, np.float32)).any()


def test_heatmaps_are_computed_of_new_peaks_and_of_the_first_picture() -> None:
    frames = GradientFrames()
    scores = [None, 0.5, 0.9, 1.2, 1.1, 1.1, 1.0, 1.3, 0.6, 0.8, 0.7]
    pictures = [False, False, False, False, True, True, False, False, True, False, False]
    taken = [frames.take(*one, 0.7) for one in zip(scores, pictures, strict=True)]
    assert taken == [False, False, True, True, True, False, False, True, False, True, False]


@pytest.fixture(scope="module")
def evaluation(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    dataset = load_ucsd(write_flickers(tmp_path_factory.mktemp("made")), "ped2")
    options = EvaluationOptions(shots=3, draws=2, heatmap="gradient")
    with Progress(console=Console(quiet=True)) as progress:
        return evaluate(dataset, small_scorer(), options, progress)


def test_the_evaluation_measures_both_heatmaps(evaluation: Evaluation) -> None:
    found = to_json(evaluation)["localisation"]
    assert list(found["gradient"]) == list(found["mean"])
    assert found["gradient"]["pixel_auroc"] != found["mean"]["pixel_auroc"]
    assert evaluation.localisation is not None
    names = [
        row.cells[0]
        for section in localisation_sheet(evaluation, evaluation.localisation).sections
        for row in section
    ]
    assert names == ["vedette, 3-shot", "gradient heatmap, first draw", "frame difference"]


def test_the_report_shows_both_side_by_side(evaluation: Evaluation) -> None:
    from pipeline.evaluation.plots import heatmaps_figure

    titles = [axes.get_title() for axes in heatmaps_figure(evaluation.highlights).axes]
    assert len(titles) == 2 * len(evaluation.highlights)
    for cells, gradient in list(pairwise(titles))[::2]:
        assert gradient == f"{cells}, |∇ₓE|"
    assert "|∇ₓE| beside it" in html_report(evaluation)


def test_a_replay_computes_it_for_every_frame_with_an_energy(tmp_path: Path) -> None:
    path = tmp_path / "yard.mp4"
    write_video(path, frames_per_second=10, pictures=walking_box(24))
    settings = AdaptationSettings(
        frames=2, interval_seconds=0.5, calibrator=CalibratorSettings(1.0)
    )

    def frames(with_gradients: bool) -> list[ReplayedFrame]:
        with open_source(str(path), SourceOptions(pace="fast")) as source:
            adaptation = Adaptation(settings)
            return list(
                replay(source, small_scorer(), adaptation, 10, with_gradients=with_gradients)
            )

    shown = frames(True)
    scored = [frame for frame in shown if frame.anomaly_map is not None]
    assert scored
    for frame in shown:
        assert (frame.gradient is None) == (frame.anomaly_map is None)
    assert all(np.isfinite(frame.gradient).all() for frame in scored if frame.gradient is not None)
    assert all(frame.gradient is None for frame in frames(False))


@pytest.mark.parametrize("heatmap", ["cells", "gradient"])
def test_the_scoring_worker_sends_it_with_the_peaks_of_events(run: RunInfo, heatmap: str) -> None:
    config = small_config(["street"], alert=ALERT, scoring={"heatmap": heatmap})
    context = worker_context("scorer", config, run)
    frames = noise_frames("street", 40, seed=0)
    for frame in frames[32:]:
        frame.pixels[4:40, 20:50] = 255 * (frame.index % 2)
    with scoring(context, small_scorer()), CollectingSink(run) as sink:
        send_all(run, frames)
    high = [message for message in sink.scores if message.pixels is not None]
    assert high
    with_gradient = [message for message in high if message.gradient is not None]
    if heatmap == "cells":
        assert not with_gradient
        return
    assert high[0].gradient is not None
    peak = max(high, key=lambda message: message.score or 0.0)
    assert peak.gradient is not None
    assert peak.gradient.shape == (48 // POOLED_PIXELS, 64 // POOLED_PIXELS)
    assert len(with_gradient) < len(high)


def test_the_stored_heatmap_of_an_event_is_that_of_the_gradient(tmp_path: Path) -> None:
    gradient = np.zeros((12, 16), np.float32)
    gradient[8:, :4] = 0.001
    message = ScoreMessage(
        camera="door",
        connection=1,
        index=1,
        pts_seconds=0.1,
        captured_at=1000.0,
        scored_at=1000.0,
        dropped=0,
        state="ready",
        progress="",
        energy=2.0,
        score=1.5,
        threshold=1.0,
        anomaly_map=np.full((6, 8), 1.5, np.float32),
        gradient=gradient,
        pixels=np.full((96, 128, 3), 60, np.uint8),
    )
    event = Event("e1", "door", 1, 1, 1000.0, 0.1, None, 0.0, 1.5, 1000.0, 1, 1, "ready", False, 1)
    pictures = EventPictures(tmp_path)
    reds = []
    for shown in (message, replace(message, gradient=None)):
        pictures.save(SnapshotFrame(event, shown, ()))
        snapshot, heatmap = pictures.paths(event)
        assert snapshot is not None
        assert heatmap is not None
        drawn = cv2.imread(str(heatmap))[..., 2]
        reds.append((float(drawn[64:80, :24].mean()), float(drawn[24:60, 80:].mean())))
    (corner, elsewhere), (_, whole) = reds
    assert corner > elsewhere + 40
    assert elsewhere < whole - 40
