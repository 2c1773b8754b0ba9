"""Measuring on held-out scenes: independent clips, the same ones for all, nothing known counted."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from makers import small_scorer

from benchmarks import leave_scenes_out as benchmark
from models.checkpoint import read_provenance, save_checkpoint
from models.scene_model import SceneModel
from pipeline.training.measuring import (
    CLIP_LENGTH,
    DIFFERENCE,
    Detector,
    MeasuringOptions,
    OneFrame,
    measure,
)
from pipeline.training.measuring_sampler import MeasuringSampler
from pipeline.training.scene_sampler import EpisodeOptions
from pipeline.training.scenes import SceneClip
from pipeline.training.validation import HeldOutScene, measuring_options, untrained_scenes

SIZE = (48, 64)
TINY = MeasuringOptions(shots=3, draws=2, queries=4)


def make_scenes(frames: int = 40) -> dict[str, list[SceneClip]]:
    """Grounds on which a box walks; the first pixels are the numbers of recording and frame."""
    scenes = {}
    for number in range(3):
        random = np.random.default_rng(number)
        ground = random.integers(60, 160, SIZE, dtype=np.uint8)
        pictures = np.repeat(ground[None], frames, axis=0)
        for t in range(frames):
            x = int(25 + 20 * np.sin(t / 6 + number))
            pictures[t, 20:32, x : x + 8] = 230
            pictures[t, 0, :2] = 0, t
        name = f"scene{number}"
        other = pictures.copy()
        other[:, 0, 0] = 1
        scenes[name] = [SceneClip(name, pictures), SceneClip(name, other)]
    return scenes


def sampler(frames: int = 40, size_hw: tuple[int, int] = SIZE) -> MeasuringSampler:
    return MeasuringSampler(make_scenes(frames), measuring_options(size_hw), seed=0)


def moment(clip: torch.Tensor) -> tuple[int, int] | None:
    """Recording and newest frame of a clip; None where something covers its numbers."""
    marks = (clip[:, 0, :2] * 255).round().int()
    newest = int(marks[-1, 1])
    known = [[int(marks[-1, 0]), newest - age] for age in range(CLIP_LENGTH - 1, -1, -1)]
    return (known[-1][0], newest) if marks.tolist() == known else None


def one_frame() -> OneFrame:
    model = small_scorer().model
    still = OneFrame(model.config).eval()
    still.load_state_dict(model.state_dict())
    return still


def detector(name: str = "model", seed: int = 0, **changes: object) -> Detector:
    model = small_scorer(seed).model
    return replace(Detector(name, model), **changes)


def test_normal_and_planted_clips_are_of_different_moments() -> None:
    drawn = sampler(frames=250).independent("scene0", shots=2, queries=6)
    assert drawn.normal.shape == drawn.planted.shape == (6, CLIP_LENGTH, *SIZE)
    assert len(drawn.kinds) == 6
    assert drawn.contaminated.shape == drawn.support.shape
    assert tuple(moment(clip) for clip in drawn.support) == drawn.support_places
    planted = [found for clip in drawn.planted if (found := moment(clip)) is not None]
    normal = [found for clip in drawn.normal if (found := moment(clip)) is not None]
    assert len(normal) == 6
    assert len(planted) >= 3
    for (recording, place), (other, elsewhere) in product(
        normal, [*planted, *drawn.support_places]
    ):
        assert recording != other or abs(place - elsewhere) >= CLIP_LENGTH


def test_a_scene_has_the_same_clips_whatever_was_measured_before() -> None:
    shared = sampler()
    HeldOutScene(shared, "scene1").draw(3, 4)
    one = HeldOutScene(shared, "scene0").draw(3, 4)
    other = HeldOutScene(sampler(), "scene0").draw(3, 4)
    assert torch.equal(one.support, other.support)
    assert torch.equal(one.planted, other.planted)
    assert one.kinds == other.kinds
    third = HeldOutScene(sampler(), "scene0", seed=1).draw(3, 4)
    assert not torch.equal(third.support, one.support)


def test_what_was_planted_can_be_seen() -> None:
    shared = sampler()
    for number in range(2):
        scene = HeldOutScene(shared, "scene0", seed=number)
        drawn = scene.draw(2, 8)
        plain = [clip for video in scene.recordings() for clip in video]
        for clip in drawn.planted:
            nearest = min(float((clip - other).abs().amax()) for other in plain)
            assert nearest > 0.04


def test_recordings_hold_every_whole_clip() -> None:
    videos = HeldOutScene(sampler(frames=60), "scene2").recordings()
    numbers = [[moment(clip) for clip in video] for video in videos]
    assert numbers == [[(one, place) for place in range(CLIP_LENGTH - 1, 60)] for one in (0, 1)]


def test_a_sampler_that_augments_has_no_recordings() -> None:
    augmenting = MeasuringSampler(make_scenes(), EpisodeOptions(crop_hw=SIZE), seed=0)
    with pytest.raises(ValueError, match="does not augment"):
        augmenting.recordings("scene0")


def test_detectors_see_the_same_clips() -> None:
    twins = [detector("one"), detector("other"), detector("third", seed=1)]
    found = measure(HeldOutScene(sampler(), "scene0"), twins, TINY)
    scores = ("energy", "residual", "motion", "still")
    wanted = {(name, score) for name in ("one", "other", "third") for score in scores}
    assert set(found.detectors) == wanted | {(DIFFERENCE, "energy")}
    alone = measure(HeldOutScene(sampler(), "scene0"), twins[1:2], TINY)
    for score in scores:
        for one, other, lone in zip(
            found.detectors["one", score],
            found.detectors["other", score],
            alone.detectors["other", score],
            strict=True,
        ):
            assert np.array_equal(one.planted, other.planted)
            assert np.allclose(one.planted, lone.planted)
            assert np.allclose(one.recordings[1].values, lone.recordings[1].values)
    first = found.detectors["one", "energy"][0]
    assert not np.array_equal(first.planted, found.detectors["third", "energy"][0].planted)
    assert [len(kinds) for kinds in found.kinds] == [4, 4]


def test_frames_that_the_support_shows_do_not_count() -> None:
    drawn = HeldOutScene(sampler(), "scene0").draw(3, 4)
    found = measure(HeldOutScene(sampler(), "scene0"), [detector()], TINY)
    recordings = found.detectors["model", "energy"][0].recordings
    for number, recording in enumerate(recordings):
        places = [place for one, place in drawn.support_places if one == number]
        for index, counted in enumerate(recording.counted):
            near = any(abs(index + CLIP_LENGTH - 1 - place) < CLIP_LENGTH for place in places)
            assert counted == (not near)
    assert not all(recording.counted.all() for recording in recordings)


def test_variants_change_what_they_say() -> None:
    variants = [
        detector("plain"),
        detector("fewer", shots=1),
        detector("still", model=one_frame()),
        detector("contaminated", contaminated=1.0),
    ]
    found = measure(HeldOutScene(sampler(), "scene0"), variants, replace(TINY, video=False))
    energies = {
        name: found.detectors[name, "energy"][0].normal.tolist()
        for name in ("plain", "fewer", "still", "contaminated")
    }
    assert len({tuple(values) for values in energies.values()}) == 4
    assert found.contaminated == {"plain": 0, "fewer": 0, "still": 0, "contaminated": 6}
    motion = found.detectors["still", "motion"][0]
    assert np.ptp(np.concatenate([motion.normal, motion.planted])) == 0
    assert found.detectors["plain", "energy"][0].recordings == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"shots": 4}, "want 1 to 3 shots, got 4"), ({"model": None}, "at most 5 frames, got 6")],
)
def test_impossible_detectors_are_named(changes: dict[str, object], message: str) -> None:
    if "model" in changes:
        changes = {"model": SceneModel(replace(small_scorer().config, clip_length=6))}
    with pytest.raises(ValueError, match=f"model: .*{message}"):
        measure(HeldOutScene(sampler(), "scene0"), [detector(**changes)], TINY)


def test_scenes_are_those_that_every_model_held_out() -> None:
    one = {"held_out": {"a": 0.8, "b": 0.7}, "scenes": ["c", "d"]}
    other = {"held_out": {"b": 0.8, "c": 0.7}, "scenes": ["a", "d"]}
    names = ["a", "b", "c", "d", "e"]
    assert untrained_scenes([one], names) == ["a", "b"]
    assert untrained_scenes([one, other], names) == ["b"]
    assert untrained_scenes([one, {"held_out": ["c"], "scenes": ["a", "d"]}], names) == ["b", "e"]
    assert untrained_scenes([{}], names) == names


def test_the_benchmark_chooses_scenes_and_prints_tables(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = small_scorer().model
    save_checkpoint(model, tmp_path / "first", {"held_out": {"scene1": 0.5}, "scenes": ["scene0"]})
    save_checkpoint(model, tmp_path / "second", {"held_out": {}, "scenes": ["scene0", "scene2"]})
    weights = [str(tmp_path / "first"), str(tmp_path / "second")]
    assert read_provenance(weights[0])["scenes"] == ["scene0"]
    assert benchmark.chosen_scenes([], weights, ["scene0", "scene1", "scene2"]) == ["scene1"]
    assert benchmark.chosen_scenes(["all"], weights, ["scene0", "scene1"]) == ["scene0", "scene1"]
    with pytest.raises(ValueError, match="no scene nowhere"):
        benchmark.chosen_scenes(["nowhere"], weights, ["scene0"])

    folder = tmp_path / "scenes"
    folder.mkdir()
    monkeypatch.setattr(benchmark, "scene_files", lambda _: dict.fromkeys(make_scenes(), ()))
    monkeypatch.setattr(benchmark, "load_scenes", lambda *_, **__: make_scenes())
    out = tmp_path / "figures.json"
    arguments = [str(folder), "--weights", *weights, "--shots", "2", "--draws", "1"]
    arguments += ["--queries", "3", "--json", str(out), "--scenes", "scene0", "scene1"]
    monkeypatch.setattr("sys.argv", ["leave_scenes_out", *arguments])
    benchmark.main()
    printed = capsys.readouterr().out
    assert "was trained on scene0" in printed
    assert "worst scene of first: scene" in printed
    assert DIFFERENCE in printed
    figures = json.loads(out.read_text())["scenes"]
    assert set(figures["scenes"]) == {"scene0", "scene1"}
    found = figures["scenes"]["scene1"]
    assert found["first/energy"] == found["second/energy"]
    assert found["first/energy"]["normal_seconds"] > 5
    assert sum(kind["planted"] for kind in figures["kinds"]["first/energy"].values()) == 6


def test_a_picture_size_is_read() -> None:
    assert benchmark.size("120x160") == (120, 160)
    with pytest.raises(Exception, match="want HEIGHTxWIDTH, got '120'"):
        benchmark.size("120")
