"""What becomes an atom."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from models.config import PAPER, VEDETTE
from models.dictionary import (
    build_dictionary,
    farthest_first,
    feature_vectors,
    foreground,
    prepare,
)


def features(shots: int = 3, channels: int = 64, height: int = 5, width: int = 6) -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(shots, channels, height, width)


def test_own_atoms_come_from_the_window_and_from_nowhere_else() -> None:
    maps = functional.normalize(features(), dim=1)
    dictionary = build_dictionary(maps, replace(VEDETTE, cell_atoms=0))
    cell = 2 * 6 + 3  # row 2, column 3
    window = maps[:, :, 1:4, 2:5].permute(0, 2, 3, 1).reshape(-1, 64)
    assert dictionary.own.shape == (30, 27, 64)
    similarity = dictionary.own[cell] @ window.T
    assert torch.allclose(similarity.max(0).values, torch.ones(27), atol=1e-5)
    assert torch.allclose(similarity.max(1).values, torch.ones(27), atol=1e-5)


def test_beyond_the_border_there_are_only_zeros() -> None:
    dictionary = build_dictionary(features(), replace(VEDETTE, cell_atoms=0))
    corner = dictionary.own[0].norm(dim=-1)
    assert int((corner == 0).sum()) == 3 * 5  # five of nine places lie outside, in three clips
    assert torch.allclose(corner[corner > 0], torch.ones(12))


def test_the_bound_keeps_what_differs_most() -> None:
    axis = torch.eye(4)
    crowd = functional.normalize(axis[0] + 0.05 * torch.randn(20, 4), dim=-1)
    atoms = torch.cat([crowd, axis[1:]])
    chosen = atoms[farthest_first(atoms[None], 4)[0]]
    for number in range(1, 4):
        assert (chosen @ axis[number]).max() == pytest.approx(1.0)


def test_no_bound_or_few_atoms_keeps_all() -> None:
    atoms = torch.randn(2, 5, 3)
    for count in (0, 5, 9):
        assert farthest_first(atoms, count).tolist() == [[0, 1, 2, 3, 4]] * 2


def test_of_a_single_clip_the_shared_atoms_are_what_differs_most_anywhere() -> None:
    axis = torch.eye(8)
    ground = functional.normalize(axis[0] + 0.05 * torch.randn(400, 1, 8), dim=-1)
    people = [170, 250, 399]
    ground[people, 0] = axis[1:4]
    chosen = foreground(ground, 4)
    assert len(chosen) == 4
    assert set(people) < set(chosen.tolist())


def test_foreground_atoms_are_what_is_unlike_its_cell() -> None:
    background = functional.normalize(torch.randn(1, 1, 8), dim=-1).expand(40, 6, 8).clone()
    intruder = functional.normalize(torch.randn(8), dim=-1)
    background[17, 4] = intruder
    assert foreground(background, 1).tolist() == [17 * 6 + 4]


def test_the_papers_dictionary_holds_every_window_of_every_frame() -> None:
    config = replace(PAPER, feature_channels=4)
    maps = features(shots=2, channels=4)
    dictionary = build_dictionary(maps, config)
    assert dictionary.own.shape[1] == 0
    assert dictionary.shared.shape == (2 * 30, 4 * 9)
    assert torch.allclose(dictionary.shared.norm(dim=-1), torch.ones(60), atol=1e-5)


def test_receptive_field_takes_the_neighbours() -> None:
    maps = features(shots=1, channels=2)
    vectors = feature_vectors(maps, 3)
    window = maps[0, :, 1:4, 2:5].reshape(-1)
    assert torch.equal(vectors[2 * 6 + 3, 0], window)


def test_without_a_clip_none_of_its_atoms_is_left() -> None:
    maps = functional.normalize(features(), dim=1)
    dictionary = build_dictionary(maps, replace(VEDETTE, cell_atoms=9, shared_atoms=12))
    of_clip = maps[1].flatten(1).T
    for atoms in (dictionary.own.flatten(0, 1), dictionary.shared):
        assert (atoms @ of_clip.T).max() > 0.999
    left = dictionary.without(1)
    for atoms in (left.own.flatten(0, 1), left.shared):
        assert (atoms @ of_clip.T).max() < 0.999
    assert (left.own.norm(dim=-1) > 0).any()


def test_centring_takes_the_support_mean_away() -> None:
    vectors = feature_vectors(features(shots=4), 1) + 5.0
    mean = vectors.mean(1)
    centred = prepare(vectors, mean, replace(PAPER, normalise=False))
    assert torch.allclose(centred.mean(1), torch.zeros_like(mean), atol=1e-5)
