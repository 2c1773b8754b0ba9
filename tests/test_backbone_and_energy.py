"""Shapes of the networks, and the energy terms against what they are defined to be."""

import numpy as np
import pytest
import torch

from models.backbone import build_backbone
from models.config import PAPER, PAPER_5, PRESETS, VEDETTE, SceneModelConfig
from models.dictionary import build_dictionary
from models.energy import (
    highest_residuals,
    pool_lags,
    pool_top,
    residual_energy,
    still_residual,
)
from models.inputs import grey_clips, motion_input


@pytest.mark.parametrize("config", [PAPER, PAPER_5], ids=lambda config: config.preset)
def test_the_papers_network_has_the_papers_sizes(config: SceneModelConfig) -> None:
    network = build_backbone(config).eval()
    with torch.no_grad():
        square = network(torch.zeros(1, 3, config.clip_length, 224, 224))
        video = network(torch.zeros(1, 3, config.clip_length, 240, 320))
    assert square.shape == (1, 256, 7, 7)
    assert video.shape == (1, 256, 8, 10)


def test_our_network_has_stride_eight() -> None:
    network = build_backbone(VEDETTE).eval()
    with torch.no_grad():
        out = network(torch.zeros(2, 5, 240, 320))
    assert out.shape == (2, 64, 30, 40)
    assert out.abs().max() <= 1
    assert sum(p.numel() for p in network.parameters()) < 250_000


def test_clips_do_not_influence_each_other() -> None:
    torch.manual_seed(0)
    network = build_backbone(VEDETTE).eval()
    clips = torch.rand(2, 5, 64, 64)
    with torch.no_grad():
        together = network(motion_input(clips))
        alone = network(motion_input(clips[1:]))
    assert torch.allclose(together[1:], alone, atol=1e-4)


def test_grey_is_luma() -> None:
    clips = torch.zeros(1, 1, 2, 2, 3, dtype=torch.uint8)
    clips[0, 0, 0, 0] = torch.tensor([255, 255, 255])
    clips[0, 0, 0, 1] = torch.tensor([255, 0, 0])
    grey = grey_clips(clips)[0, 0]
    assert grey[0, 0] == pytest.approx(1.0)
    assert grey[0, 1] == pytest.approx(0.299)
    assert grey[1, 1] == 0


def test_pooling_takes_the_highest_cells() -> None:
    cells = torch.arange(12.0).view(1, 3, 4)
    assert pool_top(cells, 2)[0] == 10.5
    assert pool_top(cells, 0)[0] == pytest.approx(5.5)
    assert pool_top(cells, 100)[0] == pytest.approx(5.5)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_configuration_survives_json(preset: str) -> None:
    config = PRESETS[preset]
    assert SceneModelConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"receptive_field": 2}, "receptive_field: want odd, got 2"),
        ({"lambda_min": 0.5}, "lambda_min: want in (0, lambda_max], got 0.5"),
        ({"widths": (16, 16, 16)}, "widths: want four multiples of 8 from 16 on, got (16, 16, 16)"),
        ({"widths": (8, 16, 16, 16)}, "widths: want four multiples of 8 from 16 on"),
        ({"widths": 8}, "widths: want four numbers, got 8"),
        ({"clip_length": 1}, "motion_weight: want 0 for one frame"),
    ],
)
def test_impossible_configurations_are_named(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 the text is what is tested
        SceneModelConfig.from_json({**VEDETTE.to_json(), **change})
    assert message in str(caught.value)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_configuration_of_before_widths_were_a_setting_has_the_first_ones(preset: str) -> None:
    data = PRESETS[preset].to_json()
    del data["widths"]
    first = (24, 32, 48, 64) if preset == "vedette" else (32, 64, 128, 256)
    assert SceneModelConfig.from_json(data).widths == first


def test_unknown_and_missing_keys_are_named() -> None:
    data = VEDETTE.to_json()
    data["depth"] = data.pop("steps")
    with pytest.raises(ValueError, match="missing steps, unknown depth"):
        SceneModelConfig.from_json(data)


def test_difference_channels_are_newest_first() -> None:
    clip = torch.zeros(1, 3, 1, 1)
    clip[0, :, 0, 0] = torch.tensor([0.1, 0.3, 0.6])
    channels = motion_input(clip)[0, :, 0, 0]
    np.testing.assert_allclose(channels, [0.3, 1.5, 2.5], atol=1e-6)


def test_each_lag_has_its_own_highest_cells() -> None:
    cells = torch.zeros(1, 2, 4, 4)
    cells[0, 0, 0, 0] = cells[0, 1, 3, 3] = 6.0  # it has gone on between the lags
    assert float(pool_lags(cells, 2)) == pytest.approx(3.0)
    assert float(pool_top(cells.mean(1), 2)) == pytest.approx(3.0)
    cells[0, 0, 0, 1] = cells[0, 1, 3, 2] = 6.0
    assert float(pool_lags(cells, 2)) == pytest.approx(6.0)
    assert float(pool_top(cells.mean(1), 2)) == pytest.approx(3.0)


@pytest.mark.parametrize("moves", ["somewhere", "everywhere", "nowhere"])
def test_cells_that_are_not_coded_change_no_pooled_residual(moves: str) -> None:
    random = torch.Generator().manual_seed(3)
    ground = torch.randn(1, 64, 12, 16, generator=random)
    support = ground + 0.3 * torch.randn(6, 64, 12, 16, generator=random)
    dictionary = build_dictionary(support, VEDETTE)
    clips = ground + 0.4 * torch.randn(5, 64, 12, 16, generator=random)
    clips[:, :, 3:6, 4:7] += torch.randn(5, 64, 3, 3, generator=random)
    moving = {
        "somewhere": (torch.rand(5, 12, 16, generator=random) > 0.7).float(),
        "everywhere": torch.ones(5, 12, 16),
        "nowhere": torch.zeros(5, 12, 16),
    }[moves]
    whole = residual_energy(clips, dictionary, VEDETTE)
    some = highest_residuals(clips, dictionary, VEDETTE, moving)
    assert (some >= whole - 1e-5).all()
    assert (some > whole + 1e-3).any(), "most cells keep their bound"
    for before, after in (
        (whole, some),
        (still_residual(whole, moving), still_residual(some, moving)),
    ):
        for count in (VEDETTE.still_cells, VEDETTE.top_cells):
            if before is not whole and count > VEDETTE.still_cells:
                continue
            assert torch.allclose(pool_top(after, count), pool_top(before, count), atol=1e-5)
