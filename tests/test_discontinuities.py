"""A cut, the end of a loop, a jump of the exposure, a gap: no clip spans them."""

from collections.abc import Iterable, Iterator
from itertools import chain

import numpy as np
import numpy.typing as npt
import pytest
from makers import small_scorer
from stage_parts import (
    CollectingSink,
    noise_frames,
    scoring,
    send_all,
    small_config,
    worker_context,
)

from cameras import Picture
from cameras.simulation import SyntheticStreet
from models import SceneScorer
from models.calibrator import CalibratorSettings
from pipeline.evaluation.replay import ReplayedFrame, replay
from pipeline.events.event_settings import EventSettings
from pipeline.events.event_tracker import EventTracker
from pipeline.events.score_record import ScoreRecord
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scoring.clips import ClipBuffer
from pipeline.scoring.discontinuities import DiscontinuityDetector, Mark
from pipeline.worker import RunInfo

Pixels = npt.NDArray[np.uint8]
RATE = 10.0


@pytest.fixture(scope="module")
def street() -> list[Pixels]:
    """Seventy seconds of normal video."""
    made = SyntheticStreet(11, (240, 320), RATE, [])
    return [made.render(index).pixels for index in range(700)]


def brighter(pictures: Iterable[Pixels], gain: float, offset: float) -> list[Pixels]:
    return [np.clip(one * gain + offset, 0, 255).astype(np.uint8) for one in pictures]


def marks(pictures: Iterable[Pixels], watch: DiscontinuityDetector | None = None) -> list[Mark]:
    watch = watch or DiscontinuityDetector()
    return [watch.see(number / RATE, pixels) for number, pixels in enumerate(pictures)]


def test_normal_video_has_no_cuts(street: list[Pixels]) -> None:
    found = marks(street)
    assert "cut" not in found
    assert "gap" not in found
    assert found.count("doubtful") <= 10


def test_a_cut_is_found_one_frame_later(street: list[Pixels]) -> None:
    found = marks([*street[:40], *street[400:420]])
    assert found[40:42] == ["doubtful", "cut"]
    assert found.count("cut") == 1


@pytest.mark.parametrize(("gain", "offset"), [(1.0, 3.0), (1.0, 8.0), (1.15, 0.0), (0.9, 0.0)])
def test_so_is_a_jump_of_the_exposure(street: list[Pixels], gain: float, offset: float) -> None:
    found = marks([*street[:40], *brighter(street[40:60], gain, offset)])
    assert found[40:42] == ["doubtful", "cut"]


def test_a_movement_is_no_cut(street: list[Pixels]) -> None:
    """Something large and fast enters the frame."""
    pictures = [one.copy() for one in street[:60]]
    for number, picture in enumerate(pictures[30:]):
        left, right = max(0, 40 * number - 120), 40 * number
        picture[40:200, left:right] = 255 - picture[40:200, left:right]
    assert "cut" not in marks(pictures)


def test_endless_cuts_leave_most_frames_scored(street: list[Pixels]) -> None:
    """One each second: at most every fifth is found."""
    pieces = (street[100 * (number % 6) : 100 * (number % 6) + 10] for number in range(30))
    assert 3 <= marks(chain.from_iterable(pieces)).count("cut") <= 6


def test_a_gap_is_found_and_a_slow_camera_has_none(street: list[Pixels]) -> None:
    watch = DiscontinuityDetector()
    times = [0.0, 0.1, 0.2, 0.3, 2.0, 2.1]
    found = [watch.see(time, one) for time, one in zip(times, street, strict=False)]
    assert found == [*["follows"] * 4, "gap", "follows"]
    watch = DiscontinuityDetector()
    assert "gap" not in [watch.see(1.5 * number, one) for number, one in enumerate(street[:20])]


def test_no_clip_spans_a_cut(street: list[Pixels]) -> None:
    buffer = ClipBuffer(5, 0.1, DiscontinuityDetector())
    full, cut = [], []
    for number, pixels in enumerate([*street[:20], *street[400:410]]):
        clip = buffer.push(number / RATE, pixels)
        full.append(buffer.full)
        cut.append(buffer.cut)
        if number >= 21:
            assert clip.shape[0] == 5
            assert all(any(np.array_equal(one, other) for other in street[400:410]) for one in clip)
    assert full == [False] * 4 + [True] * 16 + [False] * 4 + [True] * 6
    assert [number for number, is_cut in enumerate(cut) if is_cut] == [21]


def played(pictures: Iterable[Pixels]) -> Iterator[Picture]:
    for number, pixels in enumerate(pictures):
        yield Picture(number / RATE, 0.0, lambda pixels=pixels: pixels, 0)  # type: ignore[misc]


SETTINGS = AdaptationSettings(
    8, 0.5, calibrator=CalibratorSettings(12.0, alarms_per_day=24.0), refit=0
)


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return SceneScorer.load("vedette")


@pytest.fixture(scope="module")
def known(scorer: SceneScorer, street: list[Pixels]) -> Adaptation:
    """The street, adapted to and calibrated."""
    adaptation = Adaptation(SETTINGS)
    for _ in replay(played(street[:190]), scorer, adaptation, RATE):
        pass
    assert adaptation.state == "ready"
    return adaptation


def watched(scorer: SceneScorer, known: Adaptation, pictures: list[Pixels]) -> list[ReplayedFrame]:
    adaptation = Adaptation(SETTINGS, known.scene, known.calibration)
    return list(replay(played(pictures), scorer, adaptation, RATE))


@pytest.mark.parametrize("kind", ["cut", "brighter", "darker"])
def test_one_cut_raises_no_alarm(
    scorer: SceneScorer, known: Adaptation, street: list[Pixels], kind: str
) -> None:
    before, after = street[400:430], street[430:460]
    if kind == "cut":
        after = street[640:670]
    else:
        after = brighter(after, *((1.0, 5.0) if kind == "brighter" else (0.94, 0.0)))
    frames = watched(scorer, known, [*before, *after])
    tracker = EventTracker(EventSettings())
    changes = [
        change.kind
        for one in frames
        for change in tracker.update(
            ScoreRecord("a", 1, one.index, one.pts_seconds, 0.0, one.judgement.score, "ready")
        )
    ]
    assert changes == []
    scores = [one.judgement.score or 0.0 for one in frames[28:45]]
    assert max(scores) < 1.0
    assert [one.index for one in frames[4:] if one.judgement.energy is None] == [30, 31, 32, 33]


def test_the_scoring_worker_counts_cuts(run: RunInfo) -> None:
    """One camera, two places: `vedette_discontinuities_total` says that the picture was cut."""
    first, then = noise_frames("door", 30, seed=1), noise_frames("door", 40, seed=2)[30:]
    context = worker_context("score", small_config(["door"]), run)
    with CollectingSink(run), scoring(context, small_scorer()):
        send_all(run, [*first, *then])
    value = context.metrics.registry.get_sample_value
    assert value("vedette_discontinuities_total", {"camera": "door"}) == 1
