"""The door to the method: adapt once, score many, keep scenes."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from makers import CLIP_HW, make_clips
from torch import Tensor

from cameras.simulation import SyntheticStreet
from models import CheckpointError, SceneScorer
from models.adaptation import AdaptedScene
from models.checkpoint import load_checkpoint, save_checkpoint
from models.scene_model import SceneModel


@pytest.fixture(params=["vedette", "paper", "paper-5"])
def scorer(request: pytest.FixtureRequest, device: str) -> SceneScorer:
    return SceneScorer.untrained(request.param, seed=0, device=device)


def length_of(scorer: SceneScorer) -> int:
    return scorer.config.clip_length


@pytest.mark.parametrize("preset", ["vedette", "paper"])
def test_what_is_foreign_has_more_energy_than_what_is_normal(preset: str, device: str) -> None:
    scorer = SceneScorer.untrained(preset, seed=0, device=device)
    scene = scorer.adapt(make_clips(4, length_of(scorer), seed=1))
    normal = scorer.score(make_clips(3, length_of(scorer), seed=2), [scene] * 3)
    foreign = scorer.score(make_clips(3, length_of(scorer), seed=3, intruder=True), [scene] * 3)
    assert foreign.energies.min() > normal.energies.max()


def test_the_map_is_highest_where_the_intruder_is() -> None:
    scorer = SceneScorer.untrained("vedette", seed=0)
    scene = scorer.adapt(make_clips(4, 5, seed=1))
    scores = scorer.score(make_clips(1, 5, seed=3, intruder=True), [scene])
    row, column = divmod(int(scores.maps[0].argmax()), scores.maps.shape[2])
    assert 16 <= row * 8 <= 48
    assert 24 <= column * 8 <= 64


def test_a_batch_over_scenes_gives_what_each_clip_gives_alone(scorer: SceneScorer) -> None:
    length = length_of(scorer)
    one = scorer.adapt(make_clips(3, length, seed=1))
    other = scorer.adapt(make_clips(3, length, seed=1, intruder=True))
    clips = torch.cat([make_clips(2, length, seed=2), make_clips(2, length, seed=3)])
    together = scorer.score(clips, [one, other, one, other])
    for number, scene in enumerate((one, other, one, other)):
        alone = scorer.score(clips[number : number + 1], [scene])
        assert together.energies[number] == pytest.approx(float(alone.energies[0]), abs=1e-4)
        assert torch.allclose(together.maps[number], alone.maps[0], atol=1e-3)


def test_one_look_gives_the_scores_of_every_scene(scorer: SceneScorer) -> None:
    length = length_of(scorer)
    scenes = [scorer.adapt(make_clips(3, length, seed=seed)) for seed in (1, 4)]
    clips = make_clips(2, length, seed=2, intruder=True)
    for scene, scores in zip(scenes, scorer.score_in_each(clips, scenes), strict=True):
        expected = scorer.score(clips, [scene] * 2)
        torch.testing.assert_close(scores.energies, expected.energies, rtol=0, atol=1e-5)
        torch.testing.assert_close(scores.maps, expected.maps, rtol=0, atol=1e-5)


def test_adaptation_is_deterministic(scorer: SceneScorer) -> None:
    support = make_clips(3, length_of(scorer), seed=1)
    first, second = scorer.adapt(support), scorer.adapt(support)
    assert first.support_energies == second.support_energies
    assert torch.equal(first.dictionary.shared, second.dictionary.shared)


def test_one_shot_has_no_leave_one_out_energies_but_scores(scorer: SceneScorer) -> None:
    scene = scorer.adapt(make_clips(1, length_of(scorer), seed=1))
    assert scene.support_energies == ()
    assert scorer.score(make_clips(1, length_of(scorer), seed=2), [scene]).energies.isfinite().all()


@pytest.mark.parametrize("shots", [1, 2, 5])
def test_how_much_a_scene_moves_is_its_own_from_the_first_clip_on(shots: int) -> None:
    """A still scene in which something moves: the prior, in which more moves, hides nothing."""
    scorer = SceneScorer.untrained("vedette", seed=0)
    scorer.model.prior_spread.fill_(0.3)  # about what training scenes have
    length = scorer.config.clip_length
    still = make_clips(1, 1, seed=1).repeat(shots, length, 1, 1, 1)
    scene = scorer.adapt(still)
    assert float(scene.usual.mean[1]) < math.log(0.3) + 0.4
    moved = still[:1].clone()
    for number in range(length):
        moved[:, number, 20:44, 10 + 6 * number : 34 + 6 * number] = 230
    calm, lively = scorer.score(torch.cat([still[:1], moved]), [scene] * 2).energies
    assert lively > calm + 2


def test_life_of_a_scene_known_by_one_clip_is_about_normal() -> None:
    """One clip explains the others badly; that alone must not look like an anomaly."""
    street = SyntheticStreet(seed=7, size_hw=(240, 320), frames_per_second=10.0)
    scorer = SceneScorer.load("vedette")
    starts = (0, 80, 100, 120, 140)
    drawn = [street.render(start + age).pixels for start in starts for age in range(5)]
    clips = torch.from_numpy(np.stack(drawn)).unflatten(0, (5, 5))
    scene = scorer.adapt(clips[:1])
    energies = scorer.score(clips[1:], [scene] * 4).energies
    assert -3 < float(energies.median()) < 3


def test_one_shot_of_the_papers_model_tells_clips_apart() -> None:
    """The mean of a single clip is the clip itself: centred by it, no atom would be left."""
    scorer = SceneScorer.untrained("paper", seed=0)
    scene = scorer.adapt(make_clips(1, 1, seed=1))
    normal = scorer.score(make_clips(3, 1, seed=2), [scene] * 3).energies
    foreign = scorer.score(make_clips(3, 1, seed=3, intruder=True), [scene] * 3).energies
    assert float(scene.dictionary.shared.norm(dim=-1).min()) == pytest.approx(1.0, abs=1e-3)
    assert float(foreign.min()) > float(normal.max())


def test_one_support_energy_a_shot(scorer: SceneScorer) -> None:
    assert len(scorer.adapt(make_clips(5, length_of(scorer), seed=1)).support_energies) == 5


def test_gradient_heatmap_agrees_with_finite_differences() -> None:
    from models.energy import residual_energy
    from models.inputs import grey_clips, motion_input

    scorer = SceneScorer.untrained("vedette", seed=0)
    scene = scorer.adapt(make_clips(3, 5, seed=1))
    clip = make_clips(1, 5, seed=3, intruder=True)[0]
    heat = scorer.pixel_heatmap(clip, scene)
    assert heat.shape == CLIP_HW
    # In float64, since the sum over all cells drowns so small a change in float32.
    scorer.model.double()
    names = ("own", "shared", "mean", "step")
    tensors = {name: getattr(scene.dictionary, name).double() for name in names}
    dictionary = replace(scene.dictionary, **tensors)
    grey = grey_clips(clip[None]).double()

    def energy(change: float, y: int, x: int) -> float:
        moved = grey.clone()
        moved[0, -1, y, x] += change
        with torch.no_grad():
            features = scorer.model.backbone(motion_input(moved))
            return float(residual_energy(features, dictionary, scorer.config).sum())

    y, x = divmod(int(heat.argmax()), CLIP_HW[1])
    slope = (energy(1e-7, y, x) - energy(-1e-7, y, x)) / 2e-7
    assert abs(slope) == pytest.approx(float(heat[y, x]), rel=0.01)


@pytest.mark.parametrize(
    ("clips", "message"),
    [
        (torch.zeros(2, 5, 64, 80, 3), "want uint8"),
        (torch.zeros(2, 5, 64, 80, 1, dtype=torch.uint8), "want uint8"),
        (torch.zeros(2, 4, 64, 80, 3, dtype=torch.uint8), "want 5 frames"),
        (torch.zeros(0, 5, 64, 80, 3, dtype=torch.uint8), "at least 1 clip"),
    ],
)
def test_wrong_support_is_refused(clips: Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SceneScorer.untrained("vedette", seed=0).adapt(clips)


def test_wrong_clips_are_refused() -> None:
    scorer = SceneScorer.untrained("vedette", seed=0)
    scene = scorer.adapt(make_clips(2, 5, seed=1))
    with pytest.raises(ValueError, match=r"want \(64, 80\)"):
        scorer.score(torch.zeros(1, 5, 64, 96, 3, dtype=torch.uint8), [scene])
    with pytest.raises(ValueError, match="want one for each of 2 clips, got 1"):
        scorer.score(make_clips(2, 5, seed=1), [scene])
    stranger = replace(scene, model_id="0123")
    with pytest.raises(ValueError, match="got one of model 0123"):
        scorer.score(make_clips(1, 5, seed=1), [stranger])


def test_a_scene_survives_the_disk(scorer: SceneScorer, tmp_path: Path) -> None:
    length = length_of(scorer)
    scene = scorer.adapt(make_clips(3, length, seed=1))
    scorer.save_scene(scene, tmp_path / "scene")
    loaded = scorer.load_scene(tmp_path / "scene")
    clips = make_clips(1, length, seed=2)
    before, after = (scorer.score(clips, [one]).energies for one in (scene, loaded))
    assert torch.equal(before, after)
    assert loaded.support_energies == scene.support_energies


def saved_scene(folder: Path) -> tuple[SceneScorer, AdaptedScene, Path]:
    scorer = SceneScorer.untrained("vedette", seed=0)
    scene = scorer.adapt(make_clips(2, 5, seed=1))
    scorer.save_scene(scene, folder / "scene")
    return scorer, scene, folder / "scene"


def test_a_scene_of_another_model_is_refused(tmp_path: Path) -> None:
    _, _, path = saved_scene(tmp_path)
    with pytest.raises(CheckpointError, match="want a scene of model"):
        SceneScorer.untrained("vedette", seed=1).load_scene(path)


def test_a_scene_judged_in_another_way_is_of_another_model(tmp_path: Path) -> None:
    scorer, _, path = saved_scene(tmp_path)
    model = SceneModel(replace(scorer.config, motion_weight=0.25))
    model.load_state_dict(scorer.model.state_dict())
    save_checkpoint(model, tmp_path / "other", {})
    with pytest.raises(CheckpointError, match="want a scene of model"):
        SceneScorer.load(tmp_path / "other", device="cpu").load_scene(path)


@pytest.mark.parametrize("damage", ["missing", "cut", "not json", "other tensors", "no size"])
def test_a_damaged_scene_is_refused(damage: str, tmp_path: Path) -> None:
    scorer, _, path = saved_scene(tmp_path)
    tensors, head = path.with_suffix(".safetensors"), path.with_suffix(".json")
    if damage == "missing":
        tensors.unlink()
    elif damage == "cut":
        tensors.write_bytes(tensors.read_bytes()[:-100])
    elif damage == "not json":
        head.write_text("{")
    elif damage == "other tensors":
        data = bytearray(tensors.read_bytes())
        data[-1] ^= 1
        tensors.write_bytes(data)
    else:
        data_json = json.loads(head.read_text())
        del data_json["size_hw"]
        head.write_text(json.dumps(data_json))
    with pytest.raises(CheckpointError, match=str(tmp_path)):
        scorer.load_scene(path)


def test_a_checkpoint_survives_the_disk(tmp_path: Path) -> None:
    scorer = SceneScorer.untrained("vedette", seed=3)
    save_checkpoint(scorer.model, tmp_path / "weights", {"trained_on": "nothing"})
    loaded = SceneScorer.load(tmp_path / "weights.safetensors", device="cpu")
    assert loaded.model_id == scorer.model_id
    support = make_clips(2, 5, seed=1)
    assert loaded.adapt(support).support_energies == pytest.approx(
        scorer.adapt(support).support_energies, abs=1e-4
    )


def test_a_checkpoint_whose_configuration_is_another_models_is_refused(tmp_path: Path) -> None:
    for preset in ("vedette", "paper"):
        model = SceneScorer.untrained(preset, seed=0).model
        save_checkpoint(model, tmp_path / preset, {})
    (tmp_path / "vedette.safetensors").write_bytes((tmp_path / "paper.safetensors").read_bytes())
    with pytest.raises(CheckpointError, match=r"does not fit its weights: .*key"):
        load_checkpoint(tmp_path / "vedette", torch.device("cpu"))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ([1, 2], "want a model of format 1, got something else"),
        ({"kind": "model", "format": 7}, "got a model of format 7"),
        ({"kind": "scene", "format": 1}, "got a scene of format 1"),
        ({"kind": "model", "format": 1}, "want an object at 'config'"),
        ({"kind": "model", "format": 1, "config": {"depth": 3}}, "unknown depth"),
    ],
)
def test_heads_of_other_files_are_refused_by_name(
    tmp_path: Path, head: object, message: str
) -> None:
    save_checkpoint(SceneScorer.untrained("vedette", seed=0).model, tmp_path / "weights", {})
    (tmp_path / "weights.json").write_text(json.dumps(head))
    with pytest.raises(CheckpointError, match=message):
        load_checkpoint(tmp_path / "weights", torch.device("cpu"))


def test_a_scene_is_no_checkpoint(tmp_path: Path) -> None:
    _, _, path = saved_scene(tmp_path)
    with pytest.raises(CheckpointError, match="want a model"):
        SceneScorer.load(path)


def test_nothing_falls_back_to_random_weights() -> None:
    with pytest.raises(CheckpointError, match="want a shipped name"):
        SceneScorer.load("no-such-weights")


@pytest.mark.parametrize("device", ["gpu", "mps", "meta", "cpu:1", "cuda:x", ""])
def test_unknown_devices_are_named(device: str) -> None:
    with pytest.raises(ValueError, match="want auto, cpu, cuda"):
        SceneScorer.untrained("vedette", seed=0, device=device)


def test_a_device_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'cuda:99' wanted, but torch sees \d+"):
        SceneScorer.untrained("vedette", seed=0, device="cuda:99")
