"""What a scene remembers: it lowers what was labelled, there, and changes nothing else."""

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from makers import small_scorer

from models import PRESETS, AdaptedScene, CheckpointError, FeedbackExemplar, SceneScorer
from models.checkpoint import fingerprint, load_exemplar, save_exemplar
from models.energy import residual_energy
from models.feedback import (
    CELL_ATOMS,
    MOST_CELLS,
    REACH_CELLS,
    exemplar_of,
    merge_exemplars,
    with_exemplars,
)
from models.row_normal import log_ratio_at
from models.scene_exemplars import motion_with_exemplars, residual_with_exemplars
from models.scene_model import SceneModel
from models.sparse_coding import thresholds

SIZE_HW = (120, 160)
GRID_HW = (15, 20)


@lru_cache
def scorer() -> SceneScorer:
    torch.set_num_threads(1)
    return SceneScorer.load("vedette", "cpu")


def clip(seed: int, thing: str = "", place: tuple[int, int] = (40, 40)) -> torch.Tensor:
    """uint8 (5, H, W, 3): a still textured ground with noise, and a thing that moves over it."""
    random = np.random.default_rng(seed)
    ground = np.random.default_rng(7).integers(60, 120, (SIZE_HW[0] // 4, SIZE_HW[1] // 4, 1))
    ground = np.kron(ground, np.ones((4, 4, 1)))
    frames = []
    for number in range(5):
        picture = ground + random.normal(0, 2, (*SIZE_HW, 3))
        top, left = place
        if thing == "box":
            picture[top : top + 30, left + 3 * number : left + 3 * number + 22] = 225
        elif thing == "stripes":
            bars = np.where(np.arange(40) % 8 < 4, 20, 240)[:, None, None]
            down = top - 8 + 4 * number
            picture[down : down + 40, left : left + 20] = bars
        frames.append(picture.clip(0, 255).astype(np.uint8))
    return torch.from_numpy(np.stack(frames))


@lru_cache
def scene() -> AdaptedScene:
    return scorer().adapt(torch.stack([clip(seed) for seed in range(6)]))


@lru_cache
def box() -> FeedbackExemplar:
    return scorer().exemplar(scorer().score(clip(20, "box")[None], [scene()]), 0)


def energy(of: torch.Tensor, within: AdaptedScene) -> float:
    return float(scorer().score(of[None], [within]).energies)


def test_an_exemplar_is_small_and_covers_the_object() -> None:
    exemplar = box()
    assert 10 < exemplar.cells.numel() <= MOST_CELLS
    assert exemplar.vectors.dtype == exemplar.motion.dtype == torch.float16
    assert exemplar.vectors.shape == (exemplar.cells.numel(), 64)
    rows, columns = exemplar.cells // GRID_HW[1], exemplar.cells % GRID_HW[1]
    # The box covers rows 5 to 8 and columns 5 to 9; boxes of motion reach 12 pixels further.
    near = (rows >= 3) & (rows <= 10) & (columns >= 3) & (columns <= 12)
    # Cells come strongest first; weak ones elsewhere stand out, too, as the network normalises.
    assert near[:18].all()
    assert near.float().mean() > 0.5


def test_the_same_again_is_normal_and_another_thing_or_place_is_not() -> None:
    extended = scorer().with_exemplars(scene(), [box()])
    normal = energy(clip(50), scene())
    before, after = (energy(clip(30, "box"), one) for one in (scene(), extended))
    assert before > normal + 10
    assert after < normal + 0.2 * (before - normal)
    # Seen a little to the side, it is the same thing.
    aside = clip(31, "box", (36, 48))
    assert energy(aside, extended) < normal + 0.4 * (energy(aside, scene()) - normal)
    elsewhere = clip(32, "box", (80, 120))
    # The network normalises over the picture: a little of the box is exemplar elsewhere, too.
    assert energy(elsewhere, extended) == pytest.approx(energy(elsewhere, scene()), rel=0.1)
    another = clip(33, "stripes")
    assert energy(another, extended) > normal + 0.5 * (energy(another, scene()) - normal)
    assert energy(clip(50), extended) <= normal


def test_only_cells_within_reach_change_and_none_rises() -> None:
    extended = scorer().with_exemplars(scene(), [box()])
    assert extended.exemplars is not None
    for number, thing in enumerate(["", "box", "stripes"]):
        seen = clip(60 + number, thing)[None]
        before, after = (scorer().score(seen, [one]).maps for one in (scene(), extended))
        assert (after <= before).all()
        changed = (after != before).flatten().nonzero().flatten()
        assert set(changed.tolist()) <= set(extended.exemplars.cells.tolist())
    rows, columns = box().cells // GRID_HW[1], box().cells % GRID_HW[1]
    for cell in extended.exemplars.cells.tolist():
        far = torch.maximum((rows - cell // GRID_HW[1]).abs(), (columns - cell % GRID_HW[1]).abs())
        assert int(far.min()) <= REACH_CELLS


def test_taking_it_back_is_exact() -> None:
    extended = scorer().with_exemplars(scene(), [box()])
    back = scorer().with_exemplars(extended, [])
    assert back.exemplars is None
    assert back.dictionary is scene().dictionary
    for seed, thing in ((70, ""), (71, "box"), (72, "stripes")):
        seen = clip(seed, thing)[None]
        one, other = (scorer().score(seen, [which]) for which in (scene(), back))
        assert torch.equal(one.energies, other.energies)
        assert torch.equal(one.maps, other.maps)
    # What one of two events taught is gone with it, and nothing else.
    other = scorer().exemplar(scorer().score(clip(73, "stripes")[None], [scene()]), 0)
    both = scorer().with_exemplars(scorer().with_exemplars(scene(), [box(), other]), [other])
    alone = scorer().with_exemplars(scene(), [other])
    seen = clip(74, "box")[None]
    assert torch.equal(*(scorer().score(seen, [which]).energies for which in (both, alone)))


def test_no_weight_changes_and_no_gradient_is_made() -> None:
    before = fingerprint(scorer().model.state_dict())
    extended = scorer().with_exemplars(scene(), [box()])
    energy(clip(80, "box"), extended)
    assert fingerprint(scorer().model.state_dict()) == before
    assert extended.exemplars is not None
    assert not extended.exemplars.dictionary.own.requires_grad


def test_the_second_look_against_float64() -> None:
    config = scorer().config
    extended = scorer().with_exemplars(scene(), [box()])
    exemplars = extended.exemplars
    assert exemplars is not None
    observation = scorer().model.observe(clip(90, "box")[None])
    dictionary, row_normal = scene().dictionary, scene().row_normal
    residual = residual_energy(observation.features, dictionary, config)[0].flatten()
    terms = scorer().model.terms(observation, dictionary, row_normal, exemplars)
    recalled = terms.cells[0][0].flatten()
    vectors = observation.features[0].flatten(1).T.double()
    compared = 0
    for number, cell in enumerate(exemplars.cells.tolist()):
        expected = float(residual[cell])
        if expected > float(exemplars.typical_residual):
            own, shared = exemplars.dictionary.own[number], exemplars.dictionary.shared
            atoms = torch.cat([own, shared]).double()
            largest = float(torch.linalg.eigvalsh(atoms @ atoms.T)[-1])
            step = float(exemplars.dictionary.step[number])
            assert 0.9 / largest * 0.999 < step < 1.0 / largest
            z = vectors[cell] / vectors[cell].norm()
            code = point = _best(atoms @ z)
            momentum = 1.0
            for threshold in thresholds(config):
                updated = point + step * (atoms @ (z - atoms.T @ point)) - threshold * step
                updated = updated.clamp_min(0.0)
                following = (1 + (1 + 4 * momentum**2) ** 0.5) / 2
                point = updated + (momentum - 1) / following * (updated - code)
                code, momentum = updated, following
            of_best = 1.0 - float((atoms @ z).max()) ** 2
            left = min(float((z - atoms.T @ code).square().sum()), of_best)
            # As much again as was explained is believed, down to what is typical.
            believed = left - max(expected - left, 0.0)
            expected = min(expected, max(believed, float(exemplars.typical_residual)))
            compared += 1
        assert float(recalled[cell]) == pytest.approx(expected, abs=1e-5)
    assert compared > 10


def _best(correlation: torch.Tensor) -> torch.Tensor:
    code = torch.zeros_like(correlation)
    code[correlation.argmax()] = correlation.max()
    return code


def test_motion_counts_as_typical_only_there_and_up_to_what_was_labelled() -> None:
    exemplars = scorer().with_exemplars(scene(), [box()]).exemplars
    assert exemplars is not None
    assert exemplars.allowance is not None
    assert exemplars.typical_motion is not None
    typical = float(exemplars.typical_motion)
    cell = int(exemplars.allowance.flatten().argmax())
    allowed = float(exemplars.allowance.flatten()[cell])
    normal = scene().row_normal
    assert normal is not None
    strongest = float(log_ratio_at(box().motion.float(), normal, box().cells // GRID_HW[1]).max())
    assert strongest < allowed <= strongest + 0.3

    def seen(value: float, where: int = cell) -> float:
        motion = torch.full((1, *GRID_HW), value)
        return float(motion_with_exemplars(motion, exemplars)[0].flatten()[where])

    assert seen(typical - 1.0) == pytest.approx(typical - 1.0)
    assert seen(allowed) == typical
    assert typical < seen(allowed + 0.1) < allowed + 0.1
    assert seen(allowed + 5.0) == pytest.approx(allowed + 5.0)
    assert seen(allowed, where=GRID_HW[0] * GRID_HW[1] - 1) == pytest.approx(allowed)


def test_several_moments_and_a_bound_on_atoms() -> None:
    moments = [
        scorer().exemplar(scorer().score(clip(s, "box", (40, 30 + s))[None], [scene()]), 0)
        for s in range(12)
    ]
    one = merge_exemplars(moments)
    assert one.cells.numel() == sum(m.cells.numel() for m in moments)
    exemplars = scorer().with_exemplars(scene(), moments).exemplars
    assert exemplars is not None
    scenes_own = scene().dictionary.own.shape[1]
    assert exemplars.dictionary.own.shape[1] == scenes_own + CELL_ATOMS
    at_once = scorer().with_exemplars(scene(), [one]).exemplars
    assert at_once is not None
    assert torch.equal(at_once.dictionary.own, exemplars.dictionary.own)
    with pytest.raises(ValueError, match="want one model and frame size, got 0 kinds"):
        merge_exemplars([])


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"want of model \w+, got of model other"):
        scorer().with_exemplars(scene(), [replace(box(), model_id="other")])
    with pytest.raises(ValueError, match=r"want of a grid of \(15, 20\) with 64 values"):
        scorer().with_exemplars(scene(), [replace(box(), grid_hw=(20, 15))])
    with pytest.raises(ValueError, match="want a vector for each cell"):
        replace(box(), vectors=box().vectors[1:])
    with pytest.raises(ValueError, match="want cells of a grid"):
        replace(box(), grid_hw=(2, 2))
    with pytest.raises(ValueError, match="want finite values"):
        replace(box(), motion=box().motion * torch.inf)


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "one.safetensors"
    edges = torch.rand(3, 4).half()
    save_exemplar(box(), path, {"edges": edges})
    exemplar, beside = load_exemplar(path)
    assert torch.equal(beside["edges"], edges)
    assert torch.equal(exemplar.vectors, box().vectors)
    assert torch.equal(exemplar.cells, box().cells)
    assert (exemplar.grid_hw, exemplar.model_id) == (box().grid_hw, box().model_id)
    assert [file.name for file in tmp_path.iterdir()] == ["one.safetensors"]
    path.write_bytes(path.read_bytes()[:-50])
    with pytest.raises(CheckpointError, match="cannot be read as an exemplar"):
        load_exemplar(path)
    with pytest.raises(CheckpointError, match="cannot be read as an exemplar"):
        load_exemplar(tmp_path / "missing.safetensors")
    small_scorer().save_scene(small_scorer().adapt(_small_clips()), tmp_path / "scene")
    with pytest.raises(CheckpointError, match="want an exemplar of format"):
        load_exemplar(tmp_path / "scene.safetensors")


def _small_clips() -> torch.Tensor:
    return torch.randint(0, 255, (2, 5, 48, 64, 3), generator=torch.Generator().manual_seed(0)).to(
        torch.uint8
    )


def test_the_papers_model_remembers_too() -> None:
    """Windows of 3×3 features, centred, all atoms shared, no motion term."""
    torch.manual_seed(0)
    model = SceneModel(PRESETS["paper"]).eval().requires_grad_(False)
    paper = SceneScorer(model, "paper", torch.device("cpu"))
    ground = torch.randint(60, 100, (1, 1, 120, 160, 3))
    support = (ground + torch.randint(-3, 4, (4, 1, 120, 160, 3))).to(torch.uint8)
    odd = support[:1].clone()
    odd[..., 32:96, 32:96, :] = 250
    adapted = paper.adapt(support)
    exemplar = paper.exemplar(paper.score(odd, [adapted]), 0)
    assert exemplar.vectors.shape[1] == 256 * 9
    assert exemplar.motion.numel() == 0
    extended = paper.with_exemplars(adapted, [exemplar])
    before, after = (float(paper.score(odd, [one]).energies) for one in (adapted, extended))
    assert after < before


def test_nothing_stands_out() -> None:
    observation = scorer().model.observe(clip(1)[None])
    empty = exemplar_of(observation, torch.full(GRID_HW, -1.0), scorer().config, "x")
    assert empty.cells.numel() == 0
    nothing = with_exemplars(scene(), [replace(empty, model_id=scene().model_id)], scorer().config)
    assert nothing.exemplars is None
    exemplars = scorer().with_exemplars(scene(), [box()]).exemplars
    assert exemplars is not None
    still = torch.zeros(1, *GRID_HW)
    assert residual_with_exemplars(still, observation.features, exemplars, scorer().config) is still
