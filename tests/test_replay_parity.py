"""The same frames through the live scoring worker and through a plain loop give the same scores."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from makers import small_scorer
from stage_parts import (
    CollectingSink,
    noise_frames,
    run_info,
    scoring,
    send_all,
    small_config,
    worker_context,
)

from cameras import Picture
from models import SceneScorer
from models.calibrator import CalibratorSettings
from pipeline.config import AdaptSection
from pipeline.evaluation.replay import replay
from pipeline.scenes.adaptation import Adaptation, ScoredFrame
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scenes.support_selection import build_scene
from pipeline.scoring.clips import ClipBuffer
from pipeline.transport.messages import FrameMessage
from pipeline.transport.topics import private_socket_folder
from pipeline.worker import RunInfo


def offline(scorer: SceneScorer, frames: list[FrameMessage]) -> list[ScoredFrame]:
    """One frame after the other, without a batch, a socket or a thread."""
    buffer = ClipBuffer(scorer.config.clip_length, scorer.config.clip_interval_seconds)
    adaptation = Adaptation(AdaptationSettings(3, 0.2, CalibratorSettings(1.0)))
    judgements = []
    for frame in frames:
        clip = buffer.push(frame.pts_seconds, frame.pixels)
        judgement = adaptation.before_scoring(
            frame.pts_seconds, clip, buffer.full, ages=buffer.ages
        )
        if adaptation.state == "fitting":
            adaptation.apply_scene(build_scene(scorer, adaptation))
        if judgement is None:
            assert adaptation.scene is not None
            ages = torch.tensor([buffer.ages])
            scores = scorer.score(torch.from_numpy(clip)[None], [adaptation.scene], ages)
            judgement = adaptation.judge(frame.pts_seconds, float(scores.energies[0]))
        judgements.append(judgement)
    return judgements


def test_live_equals_offline(tmp_path: Path) -> None:
    scorer = SceneScorer.untrained("vedette", seed=0)
    sent = {
        "street": noise_frames("street", 70, seed=0),
        "yard": noise_frames("yard", 55, seed=1, rate=25.0),
        "gate": noise_frames("gate", 40, seed=2, rate=8.0),
    }
    with private_socket_folder() as folder:
        run = run_info(folder, tmp_path)
        context = worker_context("score", small_config(list(sent)), run)
        senders = [threading.Thread(target=send_all, args=(run, some)) for some in sent.values()]
        with scoring(context, scorer), CollectingSink(run) as sink:
            for sender in senders:
                sender.start()
            for sender in senders:
                sender.join()
    shared = context.metrics.registry.get_sample_value("vedette_batch_size_sum")
    batches = context.metrics.registry.get_sample_value("vedette_batch_size_count")
    assert shared is not None
    assert batches is not None
    assert shared > batches, "the cameras never shared a batch, so this shows less than it should"
    for camera, frames in sent.items():
        expected, live = offline(scorer, frames), sink.of(camera)
        assert [score.index for score in live] == list(range(len(frames)))
        assert [score.state for score in live] == [judgement.state for judgement in expected]
        for score, judgement in zip(live, expected, strict=True):
            assert score.progress == judgement.progress
            assert score.energy == pytest.approx(judgement.energy, abs=1e-5)
            assert score.score == pytest.approx(judgement.score, abs=1e-5)
            assert score.threshold == pytest.approx(judgement.threshold, abs=1e-5)
        assert sum(score.energy is not None for score in live) > len(frames) // 3


CHANGES = {
    "frames": 3,
    "spare": 0,
    "interval": 0.2,
    "calibrate": 1.0,
    "light_change_after": 1.0,
    "view_change_after": 1.0,
    "on_view_change": "readapt",
}


def changing(count: int) -> list[FrameMessage]:
    """A scene that becomes half as bright, then bright again, and then is seen from elsewhere."""
    frames = noise_frames("street", count, seed=0)
    for index, frame in enumerate(frames):
        if 120 <= index < 260:
            frames[index] = replace(frame, pixels=(0.3 * frame.pixels).astype(np.uint8))
        elif index >= 400:
            moved = np.ascontiguousarray(np.roll(frame.pixels, (7, 13), (0, 1)))
            frames[index] = replace(frame, pixels=moved)
    return frames


@pytest.mark.parametrize("batch_size", [1, 8])
def test_live_equals_replay_of_changes(run: RunInfo, batch_size: int) -> None:
    """Changes of illumination and of the view are answered in the same way."""
    scorer = small_scorer()
    frames = changing(520)
    context = worker_context("score", small_config(["street"], adapt=CHANGES), run)
    with scoring(context, scorer), CollectingSink(run) as sink:
        send_all(run, frames)
    settings = AdaptSection.model_validate(CHANGES)
    calibrator = CalibratorSettings(1.0)
    pictures = (Picture(one.pts_seconds, 0.0, one.pixels) for one in frames)
    adaptation = Adaptation(AdaptationSettings(3, 0.2, calibrator))
    replayed = list(replay(pictures, scorer, adaptation, 1000.0, batch_size, settings))
    states = [score.state for score in sink.scores]
    assert {"suppressed", "stale", "collecting", "ready"} <= set(states)
    assert states.count("fitting") > 1
    assert [one.judgement.state for one in replayed] == states
    for score, one in zip(sink.scores, replayed, strict=True):
        assert score.progress == one.judgement.progress
        assert score.energy == pytest.approx(one.judgement.energy, abs=1e-4)
        assert score.score == pytest.approx(one.judgement.score, abs=1e-3)
