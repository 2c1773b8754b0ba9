"""Inside the scoring worker: each frame once, in order, with the right clip."""

import numpy as np
import pytest
import torch

from models import SceneScorer
from models.calibrator import CalibratorSettings
from pipeline.scenes.adaptation import Adaptation
from pipeline.scenes.adaptation_settings import AdaptationSettings
from pipeline.scoring.clips import ClipBuffer
from pipeline.scoring.frame_stepper import FrameStepper, UnusableFrameError
from pipeline.transport.messages import FrameMessage

SETTINGS = AdaptationSettings(frames=2, interval_seconds=0.1, calibrator=CalibratorSettings(1.0))


def stepper() -> FrameStepper:
    return FrameStepper(ClipBuffer(3, 0.1), Adaptation(SETTINGS))


def frame(
    index: int,
    connection: int = 1,
    context: bool = False,
    size_hw: tuple[int, int] = (2, 2),
) -> FrameMessage:
    return FrameMessage(
        camera="street",
        connection=connection,
        index=index,
        pts_seconds=index / 10,
        captured_at=0.0,
        sent_at=0.0,
        dropped=0,
        context=context,
        scorer=1,
        pixels=np.full((*size_hw, 3), index, dtype=np.uint8),
    )


def served(stepper: FrameStepper) -> list[tuple[int, list[int]]]:
    """Index and clip of all that is in hand."""
    result = []
    while work := stepper.advance():
        result.append((work.frame.index, [int(one[0, 0, 0]) for one in work.clip]))
    return result


def test_frames_in_order_with_their_clips() -> None:
    street = stepper()
    for index in range(4):
        assert not street.take(frame(index))
    assert street.depth == 4
    assert served(street) == [(0, [0, 0, 0]), (1, [0, 0, 1]), (2, [0, 1, 2]), (3, [1, 2, 3])]
    assert street.depth == 0


def test_what_comes_twice_is_served_once() -> None:
    street = stepper()
    for index in (0, 1, 0, 1, 2):
        assert not street.take(frame(index))
    assert [index for index, _ in served(street)] == [0, 1, 2]
    assert not street.take(frame(2)), "in hand: its answer will come"
    street.finish(1, 2)
    assert street.take(frame(2)), "done: its answer was lost"
    assert served(street) == []


def test_context_fills_the_clip_and_is_not_served() -> None:
    street = stepper()
    for index in (5, 6, 7):
        assert not street.take(frame(index, context=True))
    street.take(frame(8))
    assert served(street) == [(8, [6, 7, 8])]


def test_context_that_is_known_is_ignored() -> None:
    street = stepper()
    for index in range(3):
        street.take(frame(index))
        street.advance()
        street.finish(1, index)
    assert not street.take(frame(2, context=True))
    street.take(frame(3))
    assert served(street) == [(3, [1, 2, 3])]


def test_another_connection_begins_another_clip() -> None:
    street = stepper()
    for one in (frame(7), frame(8), frame(0, connection=2), frame(1, connection=2)):
        street.take(one)
    assert served(street)[2:] == [(0, [0, 0, 0]), (1, [0, 0, 1])]
    assert street.take(frame(9, connection=1)), "out of order: the sink would ignore it"


def test_an_odd_frame_is_named_and_the_next_goes_on() -> None:
    street = stepper()
    for one in (frame(0), frame(1, size_hw=(4, 4)), frame(2)):
        street.take(one)
    street.advance()
    with pytest.raises(UnusableFrameError, match=r"camera street, frame 1: .* want pixels") as info:
        street.advance()
    assert info.value.frame.index == 1
    assert served(street) == [(2, [0, 0, 2])]


def test_a_frame_of_another_size_than_the_scene_is_unusable() -> None:
    scorer = SceneScorer.untrained("vedette", seed=0)
    support = np.random.default_rng(0).integers(0, 255, (2, 5, 32, 48, 3), dtype=np.uint8)
    scene = scorer.adapt(torch.from_numpy(support))
    street = FrameStepper(ClipBuffer(5, 0.1), Adaptation(SETTINGS, scene))
    street.take(frame(0, size_hw=(48, 32)))
    with pytest.raises(UnusableFrameError, match=r"want \(32, 48\) \(H, W\) as the scene"):
        street.advance()
    street.take(frame(0, connection=2, size_hw=(32, 48)))
    work = street.advance()
    assert work is not None
    assert work.clip.shape[1:3] == (32, 48)


def test_abandoning_the_stepper_abandons_its_adaptation() -> None:
    stepper = FrameStepper(ClipBuffer(2, 0.1), Adaptation(SETTINGS))
    stepper.abandon()
    assert stepper.adaptation.abandoned


def test_adopting_another_scene_abandons_the_present_one() -> None:
    stepper = FrameStepper(ClipBuffer(2, 0.1), Adaptation(SETTINGS))
    present, following = stepper.adaptation, Adaptation(SETTINGS)
    stepper.adopt(following)
    assert present.abandoned
    assert stepper.adaptation is following
    assert not following.abandoned


def test_a_support_that_fails_is_collected_again() -> None:
    stepper = FrameStepper(ClipBuffer(2, 0.1), Adaptation(SETTINGS, reason="asked for"))
    present = stepper.adaptation
    stepper.collect_again(Adaptation(SETTINGS))
    assert stepper.adaptation is present, "the failed one is not the one in use"
    stepper.collect_again(present)
    assert stepper.adaptation is not present
    assert stepper.adaptation.reason == "asked for"


def test_the_ages_of_a_clip_go_along_with_it() -> None:
    street = stepper()
    for index in (0, 1, 2, 7):
        street.take(frame(index))
    works = []
    while work := street.advance():
        works.append(work)
    assert works[-1].ages == pytest.approx((0.5, 0.5, 0.0))
    assert street.adaptation.candidates.ages is not None
    first, second = street.adaptation.candidates.ages
    assert list(first) == pytest.approx([0.2, 0.1, 0.0])
    assert list(second) == pytest.approx([0.5, 0.5, 0.0])
