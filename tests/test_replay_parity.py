"""The same frames through the live scoring worker and through a plain loop give the same scores."""

import threading
from pathlib import Path

import pytest
import torch
from stage_parts import (
    CollectingSink,
    noise_frames,
    run_info,
    scoring,
    send_all,
    small_config,
    worker_context,
)

from models import SceneScorer
from models.calibrator import CalibratorSettings
from pipeline.scenes.adaptation import Adaptation, ScoredFrame
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scenes.support_selection import make_scene
from pipeline.scoring.clips import ClipBuffer
from pipeline.transport.messages import FrameMessage
from pipeline.transport.topics import private_socket_folder


def offline(scorer: SceneScorer, frames: list[FrameMessage]) -> list[ScoredFrame]:
    """One frame after the other, without a batch, a socket or a thread."""
    buffer = ClipBuffer(scorer.config.clip_length, scorer.config.clip_interval_seconds)
    adaptation = Adaptation(AdaptationSettings(3, 0.2, CalibratorSettings(1.0)))
    judgements = []
    for frame in frames:
        clip = buffer.push(frame.pts_seconds, frame.pixels)
        judgement = adaptation.before(frame.pts_seconds, clip, buffer.full, ages=buffer.ages)
        if adaptation.state == "fitting":
            adaptation.fitted(make_scene(scorer, adaptation))
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
