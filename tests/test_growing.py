"""A network grown wider begins as the narrow one."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from models.config import PAPER, VEDETTE
from models.scene_model import SceneModel
from models.training.growing import grow

NARROW = replace(VEDETTE, widths=(24, 32, 48, 64))


def test_a_grown_network_sees_nearly_what_the_narrow_one_saw() -> None:
    torch.manual_seed(0)
    narrow = SceneModel(NARROW)
    wide = SceneModel(replace(NARROW, widths=(24, 32, 64, 96)))
    clips = torch.rand(2, 5, 64, 96)
    before = functional.cosine_similarity(narrow.features(clips), wide.features(clips)).mean()
    wide.load_state_dict(grow(narrow.state_dict(), narrow.config, wide.config))
    after = functional.cosine_similarity(narrow.features(clips), wide.features(clips)).mean()
    assert before < 0.5
    assert after > 0.95


def test_of_the_same_widths_it_is_the_same() -> None:
    state = SceneModel(VEDETTE).state_dict()
    grown = grow(state, VEDETTE, VEDETTE)
    assert all(torch.equal(grown[name], value) for name, value in state.items())


def test_copies_differ() -> None:
    wide = replace(NARROW, widths=(24, 32, 48, 128))
    grown = grow(SceneModel(NARROW).state_dict(), NARROW, wide)
    weight = grown["backbone.block3.conv1.weight"]
    assert torch.allclose(weight[0], weight[8], rtol=0.5)
    assert not torch.equal(weight[0], weight[8])


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (replace(NARROW, widths=(16, 32, 48, 64)), "want widths >= "),
        (PAPER, "want backbone motion"),
    ],
)
def test_what_is_no_wider_network_is_refused(config: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        grow(SceneModel(NARROW).state_dict(), NARROW, config)  # type: ignore[arg-type]
