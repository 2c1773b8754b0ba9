"""How the energy terms become one energy."""

import pytest
import torch

from models.scene_model import EnergyTerms
from models.standardise import (
    TermStatistics,
    crowding_of,
    standardised_energy,
    standardised_parts,
)

WEIGHTS = torch.tensor([0.5, 1.0, 0.25])
USUAL = TermStatistics(
    mean=torch.tensor([0.2, -1.0, 0.1]),
    spread=torch.tensor([0.1, 0.5, 0.05]),
    crowding=torch.tensor([0.0, 0.0]),
)


def terms(*frames: tuple[float, float, float], crowd: float = 0.0) -> EnergyTerms:
    """One cell a frame, with the values of the frame."""
    pooled = torch.tensor(frames)
    cells = tuple(column.view(-1, 1, 1) for column in pooled.T)
    return EnergyTerms(cells, pooled, torch.full((len(frames),), crowd))


def test_terms_are_weighed_and_summed() -> None:
    seen = terms((0.4, 0.0, 0.3))
    parts = standardised_parts(seen, USUAL, WEIGHTS)
    # (0.4 − 0.2)/0.1 · 0.5; (0 + 1)/0.5; ((0.3 − 0.1)/0.05 − 2) · 0.25
    assert parts[0].tolist() == pytest.approx([1.0, 2.0, 0.5])
    energies, maps = standardised_energy(seen, USUAL, WEIGHTS)
    assert energies.item() == pytest.approx(3.5)
    assert maps.item() == pytest.approx(3.5)


def test_stillness_hides_little_of_what_looks_wrong() -> None:
    energies, maps = standardised_energy(terms((0.5, -2.0, 0.1), (0.5, -60.0, 0.1)), USUAL, WEIGHTS)
    assert energies.tolist() == pytest.approx([1.5 - 2.0, 1.5 - 4.0])
    assert torch.allclose(maps[0], maps[1])


def test_what_stands_still_counts_once_it_is_beyond_doubt() -> None:
    energies, _ = standardised_energy(
        terms((0.2, -1.0, 0.0), (0.2, -1.0, 0.2), (0.2, -1.0, 0.4)), USUAL, WEIGHTS
    )
    assert energies.tolist() == pytest.approx([0.0, 0.0, 1.0])


def test_a_residual_that_is_explained_by_the_crowd_adds_nothing() -> None:
    crowd = torch.tensor([-3.0, -2.5, -2.0, -1.5, -1.0])
    slope, middle = crowding_of(0.2 + 0.1 * crowd, crowd)
    assert middle.item() == pytest.approx(-2.0)
    assert 0.09 < slope.item() < 0.1, "a little less than all of it: few clips prove little"
    usual = TermStatistics(USUAL.mean, USUAL.spread, torch.stack([slope, middle]))
    full = standardised_parts(terms((0.3, -1.0, 0.1), crowd=-1.0), usual, WEIGHTS)
    assert abs(full[0, 0].item()) < 0.05
    empty = standardised_parts(terms((0.3, -1.0, 0.1), crowd=-3.0), usual, WEIGHTS)
    assert empty[0, 0].item() > 0.9, "as much in an empty street is"


def test_a_residual_that_falls_with_the_crowd_is_left_as_it_is() -> None:
    crowd = torch.tensor([-3.0, -2.0, -1.0])
    assert crowding_of(-crowd, crowd)[0] == 0


def test_a_model_without_motion_has_one_term() -> None:
    seen = EnergyTerms((torch.full((1, 1, 1), 0.4),), torch.tensor([[0.4]]), torch.zeros(1))
    usual = TermStatistics(torch.tensor([0.2]), torch.tensor([0.1]), torch.zeros(2))
    energies, maps = standardised_energy(seen, usual, torch.ones(1))
    assert energies.item() == pytest.approx(2.0)
    assert maps.item() == pytest.approx(2.0)
