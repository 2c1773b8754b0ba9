"""Display images: size and shape of the source, from the decoder to sink and API."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from makers import small_scorer, write_video
from stage_parts import (
    CollectingSink,
    ingesting,
    scoring,
    small_config,
    worker_context,
)

from cameras.shown_picture import display_pixels, encode, shown_size
from cameras.source import Picture
from models.calibration import Calibration
from pipeline.ingest.decoder import Decoder
from pipeline.ingest.mailbox import Mailbox
from pipeline.ingest.pictures import PictureRequests
from pipeline.scenes.scene_store import SceneStore
from pipeline.worker import RunInfo


def wide(height: int = 180, width: int = 320) -> np.ndarray:
    """A frame with a bright right half."""
    pixels = np.full((height, width, 3), 40, np.uint8)
    pixels[:, width // 2 :] = (200, 120, 60)
    return pixels


@pytest.mark.parametrize(
    ("source", "shown"),
    [((720, 1280), (720, 1280)), ((1080, 1920), (720, 1280)), ((2160, 3840), (720, 1280)),
     ((1920, 1080), (1280, 720)), ((240, 320), (240, 320)), ((1, 5000), (1, 1280))],
)  # fmt: skip
def test_size_is_that_of_the_source_or_less(
    source: tuple[int, int], shown: tuple[int, int]
) -> None:
    assert shown_size(source) == shown


def test_decoded_picture_has_the_original_colours() -> None:
    back = display_pixels(np.zeros((48, 64, 3), np.uint8), encode(wide()), [1, 1])
    assert back.shape == (180, 320, 3)
    assert np.abs(back.astype(int) - wide()).mean() < 3


def test_without_a_picture_the_shape_is_that_of_the_source() -> None:
    scored = np.zeros((240, 320, 3), np.uint8)
    assert display_pixels(scored, None, [1080, 1920]).shape == (720, 1280, 3)
    assert display_pixels(scored, None, None).shape == (240, 320, 3)
    damaged = np.zeros(9, np.uint8)
    assert display_pixels(scored, damaged, [1080, 1920]).shape == (720, 1280, 3)


def test_a_picture_a_second_and_all_when_something_happens() -> None:
    now = 0.0
    wish = PictureRequests(lambda: now)
    assert [wish.take() for _ in range(3)] == [True, False, False]
    now = 1.0
    assert [wish.take() for _ in range(2)] == [True, False]
    wish.lost()
    assert [wish.take() for _ in range(2)] == [True, False]
    wish.every = True
    assert [wish.take() for _ in range(2)] == [True, True]


def test_masks_are_painted_into_pictures(run: RunInfo) -> None:
    config = small_config(["yard"], {"masks": {"left": {"coordinates": "0,0,0.4,0,0.4,1,0,1"}}})
    context = worker_context("ingest:yard", config, run)
    mailbox = Mailbox("wait", 4)
    decoder = Decoder("yard", config.cameras["yard"], mailbox, context.metrics, "fast", None)
    decoder.run([(1, Picture(0.0, 0.0, np.full((180, 320, 3), 200, np.uint8)))])
    letter = mailbox.take(1.0)
    assert letter is not None
    assert letter.frame.picture is not None
    shown = display_pixels(letter.frame.pixels, letter.frame.picture, None)
    assert shown[:, :110].max() < 30
    assert shown[:, 150:].min() > 170
    assert letter.frame.source_hw == (180, 320)


@pytest.mark.timeout(120)
def test_frames_near_an_event_carry_the_picture_of_the_source(run: RunInfo, tmp_path: Path) -> None:
    """A wide source: the frames are squeezed to be scored, and shown as they came."""
    rng = np.random.default_rng(0)
    ground = cv2.resize(rng.integers(40, 200, (18, 32, 3), dtype=np.uint8), (320, 180))
    write_video(tmp_path / "yard.mp4", frames_per_second=10, pictures=[ground] * 60)
    scorer = small_scorer()
    config = small_config({"yard": {"url": str(tmp_path / "yard.mp4")}})
    with CollectingSink(run) as sink:
        first = worker_context("ingest:yard", config, run, "yard")
        with scoring(worker_context("scorer", config, run), scorer), ingesting(first) as thread:
            thread.join(60)
        assert not [score for score in sink.scores if score.picture is not None]
        energies = [score.energy for score in sink.scores if score.energy is not None]
        # From now on every frame is worth an event.
        low = Calibration(min(energies) - 2.0, min(energies) - 1.0, 0.1, 40, final=True)
        SceneStore(run.data_folder / "scenes", scorer).save_calibration("yard", low)
        (run.data_folder / "state" / "yard.json").unlink()
        begin = len(sink.scores)
        later = RunInfo(run.started_ms + 1000, run.endpoints, run.data_folder)
        again = worker_context("ingest:yard", config, later, "yard", incarnation=2)
        next_scorer = worker_context("scorer", config, run, incarnation=2)
        with scoring(next_scorer, scorer), ingesting(again) as thread:
            thread.join(60)
    scores = sink.scores[begin:]
    assert len(scores) > 50
    with_picture = [score for score in scores if score.picture is not None]
    assert len(with_picture) > len(scores) - 15, "all but those that were on their way"
    shown = display_pixels(np.zeros((48, 64, 3), np.uint8), with_picture[-1].picture, None)
    assert shown.shape == (180, 320, 3)
    assert np.abs(shown.astype(int) - ground).mean() < 15
    assert {tuple(score.source_hw or ()) for score in scores} == {(180, 320)}
