"""The paper's patches: number, area, aspect, and what is in them."""

import pytest
import torch

from models.training.inpainting import KINDS, InpaintedPatch, Kind, corrupt, draw_patches

SIZE_HW = (240, 320)


def many_patches() -> list[list[InpaintedPatch]]:
    random = torch.Generator().manual_seed(0)
    return [draw_patches(SIZE_HW, random) for _ in range(300)]


def test_one_to_three_patches_of_every_kind_inside_the_picture() -> None:
    drawn = many_patches()
    assert {len(patches) for patches in drawn} == {1, 2, 3}
    flat = [patch for patches in drawn for patch in patches]
    assert {patch.kind for patch in flat} == set(KINDS)
    for patch in flat:
        assert 0 <= patch.top <= patch.top + patch.height <= SIZE_HW[0]
        assert 0 <= patch.left <= patch.left + patch.width <= SIZE_HW[1]


def test_area_and_aspect_are_those_of_the_paper() -> None:
    flat = [patch for patches in many_patches() for patch in patches]
    areas = [patch.height * patch.width / (SIZE_HW[0] * SIZE_HW[1]) for patch in flat]
    # Whole pixels: a strip that should be 1.5 pixels wide is 1 or 2.
    assert all(0.0025 / 1.5 <= area <= 0.025 * 1.35 for area in areas)
    assert sum(areas) / len(areas) == pytest.approx((0.0025 + 0.025) / 2, abs=0.002)


def test_aspects_reach_both_ends() -> None:
    random = torch.Generator().manual_seed(0)
    # A square of 3,000 pixels leaves room for strips of 1:100, so that none is drawn again.
    flat = [patch for _ in range(1500) for patch in draw_patches((3000, 3000), random)]
    aspects = torch.tensor([patch.height / patch.width for patch in flat])
    assert 90 < float(aspects.max()) < 101
    assert 1 / 101 < float(aspects.min()) < 1 / 90
    assert float((aspects < 1).float().mean()) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("shape", [(5, 40, 60), (1, 3, 40, 60)])
@pytest.mark.parametrize("kind", KINDS)
def test_a_patch_changes_its_place_alone_and_keeps_it(kind: Kind, shape: tuple[int, ...]) -> None:
    random = torch.Generator().manual_seed(0)
    clip = torch.rand(shape, generator=random)
    before = clip.clone()
    out = corrupt(clip, [InpaintedPatch(kind, 8, 10, 12, 20)], random)
    assert torch.equal(clip, before)
    assert out.shape == clip.shape
    assert out.min() >= 0
    assert out.max() <= 1
    changed = (out != clip).flatten(0, -3).any(0)
    assert changed[8:20, 10:30].float().mean() > 0.95
    changed[8:20, 10:30] = False
    assert not changed.any()


def test_what_the_kinds_put_there() -> None:
    random = torch.Generator().manual_seed(0)
    clip = torch.rand(3, 3, 40, 60, generator=random)
    inside = {
        kind: corrupt(clip, [InpaintedPatch(kind, 8, 10, 12, 20)], random)[..., 8:20, 10:30]
        for kind in KINDS
    }
    assert torch.equal(inside["noise"][0], inside["noise"][2])
    assert float(inside["constant"].std(dim=(2, 3)).max()) < 1e-6
    windows = clip.unfold(2, 12, 1).unfold(3, 20, 1)
    assert (windows == inside["copy"][:, :, None, None]).all(-1).all(-1).all(1).all(0).any()
    assert float(inside["blur"].std()) < 0.5 * float(clip.std())
    assert float(inside["blur"].mean()) == pytest.approx(0.5, abs=0.05)


def test_blur_at_the_border_keeps_a_flat_picture_flat() -> None:
    clip = torch.full((1, 20, 20), 0.3)
    random = torch.Generator().manual_seed(0)
    out = corrupt(clip, [InpaintedPatch("blur", 0, 0, 5, 20)], random)
    assert torch.allclose(out, clip, atol=1e-5)
