"""Which moments show the same, as far as a scene can tell."""

import numpy as np
import pytest
import torch
from makers import small_scorer, walking_box

from models import AdaptedScene, FeedbackExemplar, SceneScorer
from models.feedback import explained_share


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return small_scorer()


@pytest.fixture(scope="module")
def scene(scorer: SceneScorer) -> AdaptedScene:
    pictures = list(walking_box(40))
    clips = [np.stack(pictures[begin : begin + 5]) for begin in range(0, 35, 5)]
    return scorer.adapt(torch.from_numpy(np.stack(clips)))


def moment(
    scorer: SceneScorer, scene: AdaptedScene, begin: int, left: int, thing: int
) -> FeedbackExemplar:
    """What stands out while something is in the picture."""
    pattern = np.random.default_rng(thing).integers(0, 255, (18, 18, 3), dtype=np.uint8)
    pictures = [picture.copy() for picture in list(walking_box(60))[begin : begin + 5]]
    for picture in pictures:
        picture[28:46, left : left + 18] = pattern
    scores = scorer.score(torch.from_numpy(np.stack(pictures)[None]), [scene])
    return scorer.exemplar(scores, 0)


def test_the_same_thing_again_is_explained_and_another_is_not(
    scorer: SceneScorer, scene: AdaptedScene
) -> None:
    known = moment(scorer, scene, 3, left=8, thing=1)
    again = moment(scorer, scene, 17, left=8, thing=1)
    elsewhere = moment(scorer, scene, 17, left=44, thing=1)
    config = scorer.config
    assert explained_share(scene, known, known, config) > 0.9
    assert explained_share(scene, known, again, config) > 0.5
    assert explained_share(scene, known, elsewhere, config) < 0.3


def test_another_model_s_moment_explains_nothing(scorer: SceneScorer, scene: AdaptedScene) -> None:
    one = moment(scorer, scene, 3, left=8, thing=1)
    other = FeedbackExemplar(one.cells, one.vectors, one.motion, one.grid_hw, "another")
    assert explained_share(scene, other, one, scorer.config) == 0.0
