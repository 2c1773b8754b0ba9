"""Replay on made recordings: the states a camera goes through, the scores, the files."""

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import torch
from makers import small_scorer, walking_box, write_video
from typer.testing import CliRunner

from cameras import SourceError, SourceOptions, open_source
from models import SceneScorer
from models.calibrator import CalibratorSettings
from models.checkpoint import save_checkpoint
from pipeline.cli.main import app
from pipeline.evaluation.annotate import AnnotatedVideo
from pipeline.evaluation.replay import ReplayedFrame, replay, score_record
from pipeline.evaluation.replay_summary import ReplaySummary
from pipeline.evaluation.supports import SupportError
from pipeline.scenes.adaptation import Adaptation, ScoredFrame
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scoring.clips import ClipBuffer

FRAMES_PER_SECOND = 10.0


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return small_scorer()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds at 20 frames a second; from the fourth second on something flickers."""
    path = tmp_path_factory.mktemp("recordings") / "yard.mp4"
    pictures = list(walking_box(120))
    for number in range(80, 100):
        pictures[number][4:30, 40:60] = 255 * (number // 2 % 2)
    write_video(path, frames_per_second=20, pictures=pictures)
    return path


DOUBTFUL = 40
"""The first frame with the flicker: it may have been a seam, which the one after it denies."""


def replayed(
    path: Path, scorer: SceneScorer, settings: AdaptationSettings, batch_size: int = 8
) -> list[ReplayedFrame]:
    with open_source(str(path), SourceOptions(pace="fast")) as source:
        return list(replay(source, scorer, Adaptation(settings), FRAMES_PER_SECOND, batch_size))


SETTINGS = AdaptationSettings(frames=3, interval_seconds=0.5, calibrator=CalibratorSettings(1.0))


def test_a_recording_lives_the_life_of_a_camera(recording: Path, scorer: SceneScorer) -> None:
    frames = replayed(recording, scorer, SETTINGS)
    states = [frame.judgement.state for frame in frames]
    assert list(dict.fromkeys(states)) == ["collecting", "fitting", "calibrating", "ready"]
    assert [frame.index for frame in frames] == list(range(60))
    assert [frame.pts_seconds for frame in frames] == pytest.approx(np.arange(60) / 10)
    for frame in frames:
        scored = frame.judgement.state in ("calibrating", "ready") and frame.index != DOUBTFUL
        assert (frame.judgement.energy is not None) == scored
        assert (frame.anomaly_map is not None) == scored


def test_the_flicker_stands_out(recording: Path, scorer: SceneScorer) -> None:
    frames = [
        frame for frame in replayed(recording, scorer, SETTINGS) if frame.anomaly_map is not None
    ]
    highest = max(frames, key=lambda frame: frame.judgement.score or 0.0)
    assert 4.0 <= highest.pts_seconds <= 5.4
    assert highest.anomaly_map is not None
    row, column = np.unravel_index(highest.anomaly_map.argmax(), highest.anomaly_map.shape)
    assert 0 <= row <= 4
    assert 4 <= column <= 7


def test_scores_are_those_of_the_model_frame_by_frame(recording: Path, scorer: SceneScorer) -> None:
    one_by_one = replayed(recording, scorer, SETTINGS, batch_size=1)
    in_batches = replayed(recording, scorer, SETTINGS, batch_size=7)
    for alone, batched in zip(one_by_one, in_batches, strict=True):
        assert alone.judgement.state == batched.judgement.state
        assert (alone.judgement.energy is None) == (batched.judgement.energy is None)
        if alone.judgement.energy is not None:
            assert alone.judgement.energy == pytest.approx(batched.judgement.energy, abs=1e-5)
    buffer = ClipBuffer(scorer.config.clip_length, scorer.config.clip_interval_seconds)
    clips = [buffer.push(frame.pts_seconds, frame.pixels) for frame in one_by_one]
    support = np.stack([clips[4], clips[9], clips[14]])  # half a second apart, the first one whole
    scene = scorer.adapt(torch.from_numpy(support))
    expected = scorer.score(torch.from_numpy(np.stack(clips[15:])), [scene] * len(clips[15:]))
    for frame, energy in zip(one_by_one[15:], expected.energies.tolist(), strict=True):
        if frame.index == DOUBTFUL:
            assert frame.judgement.energy is None
        else:
            assert frame.judgement.energy == pytest.approx(energy, abs=1e-5)


def test_record_of_a_frame() -> None:
    pixels = np.zeros((2, 2, 3), np.uint8)
    waiting = ReplayedFrame(3, 0.3, pixels, ScoredFrame("collecting", "1/3"), None)
    assert score_record("yard", waiting) == {
        "camera": "yard",
        "index": 3,
        "pts_seconds": 0.3,
        "energy": None,
        "score": None,
        "threshold": None,
        "state": "collecting",
    }


def test_summary_counts_what_lasts_above_the_threshold() -> None:
    summary = ReplaySummary("yard")
    pixels = np.zeros((2, 2, 3), np.uint8)
    for number in range(200):
        up = 20 <= number <= 30 or 90 <= number <= 91 or number >= 120
        judgement = ScoredFrame("ready", "", 1.0, 1.5 if up else 0.2, 1.0)
        summary.take(ReplayedFrame(number, number / 10, pixels, judgement, None))
    assert summary.line(took_seconds=4.0) == (
        "200 frames in 4.0 s, 50.0 frames/s; 2 events above the threshold: "
        "2.0 to 3.0 s, 12.0 to 19.9 s"
    )


def test_summary_of_a_quiet_recording() -> None:
    summary = ReplaySummary("yard")
    judgement = ScoredFrame("ready", "", 1.0, 0.2, 1.0)
    summary.take(ReplayedFrame(0, 0.0, np.zeros((2, 2, 3), np.uint8), judgement, None))
    assert summary.line(took_seconds=0.1).endswith("; no event above the threshold")


@pytest.fixture(scope="module")
def weights(scorer: SceneScorer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the small model, as the command loads it."""
    path = tmp_path_factory.mktemp("weights") / "small"
    save_checkpoint(scorer.model, path, {})
    return path


@pytest.fixture(scope="module")
def normal(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images of the same yard, without the flicker."""
    folder = tmp_path_factory.mktemp("normal")
    for number, picture in enumerate(walking_box(30)):
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    return folder


def run(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["replay", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_command_writes_scores_and_video(
    recording: Path, normal: Path, weights: Path, tmp_path: Path
) -> None:
    scores, video = tmp_path / "new" / "scores.jsonl", tmp_path / "annotated.mp4"
    arguments = (recording, "--weights", weights, "--support", normal, "--shots", 4)
    code, output = run(*arguments, "--json", scores, "--out", video)
    assert code == 0
    assert "60 frames in" in output
    records = [json.loads(line) for line in scores.read_text().splitlines()]
    assert len(records) == 60
    assert {record["camera"] for record in records} == {"yard"}
    assert {record["state"] for record in records} == {"calibrating"}  # a scene from the start
    assert [record["score"] for record in records[:4]] == [None] * 4  # no whole clip yet
    for record in records[4:]:
        assert isinstance(record["score"], float) == (record["index"] != DOUBTFUL)
    assert {path.name for path in tmp_path.iterdir()} == {"new", "annotated.mp4"}
    with av.open(str(video)) as container:
        stream = container.streams.video[0]
        frames = list(container.decode(stream))
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (stream.width, stream.height) == (64, 48 + 40)
        assert [frame.time for frame in frames] == pytest.approx(np.arange(60) / 10)


def test_command_adapts_on_the_first_seconds(
    recording: Path, weights: Path, tmp_path: Path
) -> None:
    scores = tmp_path / "scores.jsonl"
    code, _ = run(recording, "--weights", weights, "--shots", 3, "--json", scores)
    assert code == 0
    records = [json.loads(line) for line in scores.read_text().splitlines()]
    states = list(dict.fromkeys(record["state"] for record in records))
    assert states == ["collecting", "fitting", "calibrating"]
    assert records[0]["energy"] is None


def test_command_takes_folders_at_the_given_rate(
    normal: Path, weights: Path, tmp_path: Path
) -> None:
    scores = tmp_path / "scores.jsonl"
    run(normal, "--weights", weights, "--shots", 2, "--fps", 5, "--json", scores)
    records = [json.loads(line) for line in scores.read_text().splitlines()]
    assert [record["pts_seconds"] for record in records] == pytest.approx(np.arange(30) / 5)


def test_more_shots_than_the_recording_has(recording: Path, weights: Path, tmp_path: Path) -> None:
    scores = tmp_path / "scores.jsonl"
    with pytest.raises(SupportError, match=r"yard\.mp4: want 10 support clips.* 5.9 s"):
        run(recording, "--weights", weights, "--shots", 10, "--json", scores)
    assert list(tmp_path.iterdir()) == []  # nothing half-written stays


def test_more_shots_than_the_support_has(recording: Path, normal: Path, weights: Path) -> None:
    with pytest.raises(SupportError, match=r"want 40 support clips.* got 26"):
        run(recording, "--weights", weights, "--shots", 40, "--support", normal)


def test_place_that_cannot_be_written(recording: Path, weights: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        run(recording, "--weights", weights, "--shots", 3, "--out", tmp_path / "file" / "x.mp4")
    with pytest.raises(OSError, match=r"/proc/\.x\.mp4"):
        run(recording, "--weights", weights, "--shots", 3, "--out", "/proc/x.mp4")


def test_recording_that_is_not_there(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"nowhere\.mp4"):
        run(tmp_path / "nowhere.mp4", "--weights", weights)


def test_video_keeps_the_size_of_its_first_picture(tmp_path: Path) -> None:
    path = tmp_path / "video"
    judgement = ScoredFrame("ready", "", 3.0, 1.5, 2.0)
    cells = np.full((3, 4), 1.5, dtype=np.float32)
    with AnnotatedVideo(path, 10.0) as video:
        for number, size_hw in enumerate([(49, 65), (90, 120), (49, 65)]):
            pixels = np.full((*size_hw, 3), 90, dtype=np.uint8)
            video.write(ReplayedFrame(number, number / 10, pixels, judgement, cells))
    with av.open(str(path)) as container:
        shapes = [frame.to_ndarray(format="rgb24").shape for frame in container.decode(video=0)]
    assert shapes == [(88, 64, 3)] * 3


def test_video_that_is_not_open(tmp_path: Path) -> None:
    frame = ReplayedFrame(0, 0.0, np.zeros((8, 8, 3), np.uint8), ScoredFrame("ready", ""), None)
    with pytest.raises(ValueError, match="want an open video"):
        AnnotatedVideo(tmp_path / "video", 10.0).write(frame)
