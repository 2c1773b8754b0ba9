"""Composed perspective scenes: cut-outs, their placement, and what the clips show."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from makers import small_scorer

from benchmarks import ablations, leave_scenes_out
from benchmarks.perspective import ANOMALY_KINDS, PerspectiveOptions, PerspectiveScene
from models.checkpoint import save_checkpoint
from models.training.overlay import MovingCutOut
from pipeline.datasets.layout import DatasetError
from pipeline.training.material import (
    SceneMaterial,
    Sources,
    empty_background,
    gather_material,
    stabilise,
)
from pipeline.training.measuring import CLIP_LENGTH, Detector, MeasuringOptions, measure
from pipeline.training.placing import CutOutPlacement, StationaryCutOut, lay_over
from pipeline.training.scenes import SceneClip

SIZE = (120, 160)
SMALL = PerspectiveOptions(SIZE, far_height=(8, 8), near_height=(28, 28), noise=(0, 0))
SOURCES = Sources(people=("walk",), vehicles=("road",), backgrounds=("walk", "road"))
ALONE = replace(SMALL, crowd=(1, 1))
"""At most one person in a clip."""
EMPTY = replace(SMALL, crowd=(0, 0))


def block(height: int, width: int, grey: float = 1.0, rightward: bool = True) -> StationaryCutOut:
    """A plain box; a mark of middle grey on the side that it faces."""
    shape = (CLIP_LENGTH, height + 8, width + 8)
    alpha = np.zeros(shape, np.float32)
    alpha[:, 4:-4, 4:-4] = 1
    centre = ((shape[1] - 1) / 2, (shape[2] - 1) / 2)
    pixels, velocity = np.full(shape, grey, np.float32), (0.0, 1.0 if rightward else -1.0)
    return StationaryCutOut(pixels, alpha, centre, height, width, (60.0, 60.0), velocity)


def material(*people: float) -> SceneMaterial:
    """People and vehicles of plain grey levels on middle grey."""
    return SceneMaterial(
        tuple(block(40, 16, grey) for grey in people),
        (block(16, 30), block(16, 30)),
        {"plain": np.full(SIZE, 128, np.uint8)},
    )


def scene(number: int = 0, options: PerspectiveOptions = SMALL, seed: int = 0) -> PerspectiveScene:
    return PerspectiveScene(number, material(1.0, 1.0, 1.0, 1.0), options, seed)


def walking(name: str, height: int, width: int, step: float, frames: int = 60) -> SceneClip:
    """A textured box that crosses a textured ground at an even pace."""
    random = np.random.default_rng(height)
    ground = cv2.blur(random.integers(40, 120, SIZE).astype(np.float32), (5, 5))
    body = random.uniform(150, 250, (height, width)).astype(np.float32)
    pictures = np.repeat(ground[None], frames, axis=0)
    for number, picture in enumerate(pictures):
        left = int(number * step) % (SIZE[1] - width)
        picture[30 : 30 + height, left : left + width] = body
    return SceneClip(name, pictures.astype(np.uint8))


def small_scenes() -> dict[str, list[SceneClip]]:
    return {"walk": [walking("walk", 50, 18, 2)], "road": [walking("road", 18, 40, 4)]}


def bright(picture: np.ndarray) -> list[tuple[float, float, int]]:
    """Row of the feet, centre column and height of what is bright and whole in a picture."""
    parts = cv2.connectedComponentsWithStats((picture > 0.7).astype(np.uint8))[2][1:]
    return [
        (float(top + height), left + width / 2, int(height))
        for left, top, width, height, _ in parts
        if left > 0 and top > 0 and left + width < SIZE[1] and top + height < SIZE[0]
    ]


def paces(clips: Sequence[torch.Tensor]) -> list[float]:
    """Heights a frame that the only thing in each clip moves, where it is wholly seen."""
    found = []
    for clip in clips:
        seen = [bright(clip[frame].numpy()) for frame in (0, -1)]
        if [len(one) for one in seen] == [1, 1]:
            (foot, column, _), (last_foot, last_column, height) = seen[0][0], seen[1][0]
            moved = np.hypot(last_foot - foot, last_column - column)
            found.append(float(moved / height / (CLIP_LENGTH - 1)))
    return found


def test_the_same_seed_gives_the_same_clips() -> None:
    noisy = replace(SMALL, noise=(1, 3))
    one, same, other = (scene(3, noisy, seed) for seed in (0, 0, 1))
    first, again, third = (stage.draw(3, 4) for stage in (one, same, other))
    assert torch.equal(first.support, again.support)
    assert torch.equal(first.normal, again.normal)
    assert torch.equal(first.planted, again.planted)
    assert torch.equal(first.contaminated, again.contaminated)
    assert first.kinds == again.kinds
    assert not torch.equal(first.normal, third.normal)
    second = one.draw(3, 4)
    assert not torch.equal(first.normal, second.normal)
    assert torch.equal(second.normal, same.draw(3, 4).normal)


def test_people_grow_with_the_row() -> None:
    clips = scene(options=ALONE).draw(1, 60).normal
    seen = [found for clip in clips for found in bright(clip[-1].numpy())]
    assert len(seen) > 15
    for foot, _, height in seen:
        wanted = 8 + 20 * foot / SIZE[0]
        assert 0.85 * wanted - 2 < height < 1.15 * wanted + 2
    heights = [height for _, _, height in sorted(seen)]
    assert np.mean(heights[-5:]) > 1.5 * np.mean(heights[:5])


def test_a_cyclist_is_faster_than_walkers_and_what_is_left_stands() -> None:
    walkers, found = [], {kind: [] for kind in ANOMALY_KINDS}
    for number in range(6):
        walkers += paces(scene(number, ALONE).draw(1, 20).normal)
        drawn = scene(number, EMPTY).draw(1, 20)
        for kind, clip in zip(drawn.kinds, drawn.planted, strict=True):
            found[kind] += paces([clip])
    assert 0.02 < np.median(walkers) < 0.1
    assert np.median(found["cyclist"]) > 1.8 * np.median(walkers)
    assert np.median(found["skater"]) > 1.3 * np.median(walkers)
    assert max(found["left object"]) < 0.01


def test_kinds_are_named() -> None:
    drawn = scene().draw(2, 60)
    assert drawn.planted.shape == (60, CLIP_LENGTH, *SIZE)
    assert len(drawn.kinds) == 60
    assert set(drawn.kinds) == set(ANOMALY_KINDS)
    assert sum(kind.share for kind in ANOMALY_KINDS.values()) == pytest.approx(1)


def test_support_and_queries_do_not_share_cut_outs() -> None:
    for number in range(4):
        stage = PerspectiveScene(number, material(0.0, 1.0), SMALL)
        drawn = stage.draw(4, 4)
        dark = [bool((clips < 0.3).any()) for clips in (drawn.support, drawn.normal)]
        light = [bool((clips > 0.7).any()) for clips in (drawn.support, drawn.normal)]
        assert sorted(dark) == sorted(light) == [False, True]
        assert dark != light


def test_contaminated_support_is_the_support_with_something_in_it() -> None:
    drawn = scene(options=ALONE).draw(12, 1)
    changed = (drawn.contaminated - drawn.support).abs() > 0.2
    assert changed.flatten(1).any(1).float().mean() > 0.9
    assert changed.float().mean() < 0.2


def test_a_cut_out_is_laid_to_a_fraction_of_a_pixel() -> None:
    frames = np.zeros((CLIP_LENGTH, *SIZE), np.float32)
    lay_over(frames, CutOutPlacement(block(40, 16), (80.0, 60.25), 20.0, (0.5, -1.5)))
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    for number, frame in enumerate(frames):
        age = CLIP_LENGTH - 1 - number
        assert frame.sum() == pytest.approx(20 * 8, rel=0.03)
        assert (rows * frame).sum() / frame.sum() == pytest.approx(70 - 0.5 * age, abs=0.5)
        assert (columns * frame).sum() / frame.sum() == pytest.approx(60.25 + 1.5 * age, abs=0.5)
    steps = np.diff([(columns * frame).sum() / frame.sum() for frame in frames])
    assert steps == pytest.approx([-1.5] * 4, abs=0.02)


@pytest.mark.parametrize("foot", [(-30.0, 50.0), (170.0, 50.0), (60.0, -40.0), (60.0, 210.0)])
def test_what_is_outside_the_picture_changes_nothing(foot: tuple[float, float]) -> None:
    frames = np.full((CLIP_LENGTH, *SIZE), 0.25, np.float32)
    lay_over(frames, CutOutPlacement(block(40, 16), foot, 20.0, (0.0, 0.0)))
    assert (frames == 0.25).all()


def test_a_cut_out_faces_the_way_it_moves() -> None:
    one = block(40, 16)
    one.pixels[:, :, 12:] = 0.5  # its front
    for right, front in ((2.0, 1), (-2.0, -1)):
        frames = np.zeros((CLIP_LENGTH, *SIZE), np.float32)
        lay_over(frames, CutOutPlacement(one, (80.0, 60.0), 40.0, (0.0, right)))
        columns = np.flatnonzero(frames[-1][60] > 0.1)
        half = {True: frames[-1][60][columns[-6:]], False: frames[-1][60][columns[:6]]}
        assert half[front > 0].mean() < half[front < 0].mean()


def moving(shape_of_frame: Sequence[tuple[int, int]], height: int = 30) -> MovingCutOut:
    """A textured box, 12 wide, at given left edges and with so many rows missing at both ends."""
    random = np.random.default_rng(0)
    body = torch.from_numpy(random.random((height, 12), dtype=np.float32))
    pixels, alpha = torch.zeros(5, 50, 60), torch.zeros(5, 50, 60)
    for number, (left, less) in enumerate(shape_of_frame):
        place = (number, slice(10 + less, 10 + height - less), slice(left, left + 12))
        pixels[place], alpha[place] = body[less : height - less], 1
    return MovingCutOut(pixels, alpha, 10)


def test_a_cut_out_is_held_in_place() -> None:
    held = stabilise(moving([(10 + 3 * number, 0) for number in range(5)]))
    assert held is not None
    assert (held.height, held.width) == (30, 12)
    assert held.velocity == pytest.approx((0, 3), abs=1e-6)
    assert held.foot == pytest.approx((10 + 24.5 + 15, 27.5))
    assert held.centre == pytest.approx((24.5, 27.5))
    for pixels, alpha in zip(held.pixels, held.alpha, strict=True):
        assert pixels[alpha > 0.5] == pytest.approx(held.pixels[-1][held.alpha[-1] > 0.5])


@pytest.mark.parametrize(
    "unstable",
    [
        moving([(10, 0), (13, 0), (25, 0), (19, 0), (22, 0)]),
        moving([(10, 0), (13, 0), (16, 6), (19, 0), (22, 0)]),
        moving([(10 + number, 0) for number in range(5)], height=4),
        replace(moving([(10, 0)] * 5), pixels=torch.full((5, 50, 60), 0.5)),
    ],
    ids=["leaps", "loses a part", "is small", "has no contrast"],
)
def test_an_unstable_cut_out_is_refused(unstable: MovingCutOut) -> None:
    assert stabilise(unstable) is None


def test_material_comes_from_the_named_scenes() -> None:
    scenes = small_scenes()
    found = gather_material(scenes, SOURCES, CLIP_LENGTH)
    assert all(one.height > one.width for one in found.people)
    assert all(one.width > one.height for one in found.vehicles)
    assert set(found.backgrounds) == {"walk", "road"}
    ground = scenes["walk"][0].frames[:, :20].mean(0)
    assert np.abs(empty_background(scenes["walk"][0])[:20] - ground).max() < 1
    again = gather_material(scenes, SOURCES, CLIP_LENGTH)
    assert len(again.people) == len(found.people)
    assert np.array_equal(again.people[0].pixels, found.people[0].pixels)
    colour = {
        name: [SceneClip(name, np.repeat(one.frames[..., None], 3, axis=3)) for one in clips]
        for name, clips in scenes.items()
    }
    of_colour = gather_material(colour, SOURCES, CLIP_LENGTH)
    assert np.array_equal(of_colour.people[0].pixels, found.people[0].pixels)


def test_what_is_missing_is_named() -> None:
    scenes = small_scenes()
    with pytest.raises(DatasetError, match="want the scenes yard, got none"):
        gather_material(scenes, replace(SOURCES, people=("walk", "yard")), CLIP_LENGTH)
    empty = {**scenes, "road": [SceneClip("road", np.zeros((40, *SIZE), np.uint8))]}
    with pytest.raises(DatasetError, match=r"2 vehicles .* got \d+, 0 and 2"):
        gather_material(empty, SOURCES, CLIP_LENGTH)


def test_a_perspective_scene_is_measured() -> None:
    detectors = [
        Detector("model", small_scorer().model),
        Detector("contaminated", small_scorer().model, contaminated=0.5),
    ]
    options = MeasuringOptions(shots=3, draws=2, queries=4)
    found = measure(scene(), detectors, options)
    assert found.name == "perspective 0: plain, 8-28 px"
    for draws in found.detectors.values():
        for draw in draws:
            assert np.isfinite(draw.planted).all()
            assert draw.recordings == ()
    assert found.contaminated["contaminated"] > 0


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint of random weights; the benchmarks find the synthetic scenes in any folder."""
    for benchmark in (leave_scenes_out, ablations):
        monkeypatch.setattr(benchmark, "scene_files", lambda _: dict.fromkeys(small_scenes(), ()))
        monkeypatch.setattr(benchmark, "load_scenes", lambda *_, **__: small_scenes())
    monkeypatch.setattr(leave_scenes_out, "SOURCES", SOURCES)
    path = tmp_path / "tiny"
    save_checkpoint(small_scorer().model, path, {"held_out": ["walk"], "scenes": ["road"]})
    return path


def test_the_benchmark_measures_them_beside_held_out_scenes(
    weights: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = tmp_path / "figures.json"
    arguments = [str(tmp_path), "--weights", str(weights), "--perspective", "2", "--shots", "2"]
    arguments += ["--draws", "1", "--queries", "12", "--json", str(out)]
    monkeypatch.setattr("sys.argv", ["leave_scenes_out", *arguments])
    leave_scenes_out.main()
    figures = json.loads(out.read_text())
    assert set(figures) == {"scenes", "perspective scenes"}
    found = figures["perspective scenes"]
    assert [name.split(",")[0] for name in found["scenes"]] == [
        "perspective 0: walk", "perspective 1: road"
    ]  # fmt: skip
    kinds = found["kinds"]["frame difference/energy"]
    assert set(kinds) <= set(ANOMALY_KINDS)
    assert sum(kind["planted"] for kind in kinds.values()) == 24
    printed = capsys.readouterr().out
    assert "perspective scenes: by kind of anomaly" in printed
    headings = [line for line in printed.splitlines() if " detector " in line]
    assert len(headings) == 2
    assert all(f" {score} " in headings[1] for score in ("energy", "residual", "motion", "still"))


def test_they_need_a_folder_to_cut_from(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["leave_scenes_out", "--streets", "1", "--perspective", "2"])
    with pytest.raises(SystemExit):
        leave_scenes_out.main()
    assert "--perspective: want a folder of scenes" in capsys.readouterr().err


def test_ablations_have_a_column_of_them(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, out = tmp_path / "ablations.yaml", tmp_path / "table.md"
    rows = "[{name: as it is}, {name: other motion, model: {motion: flow}}]"
    config.write_text(
        f"weights: {weights}\nshots: 2\ndraws: 1\nqueries: 8\n"
        f"groups: [{{title: All, rows: {rows}}}]\n"
    )
    arguments = [str(tmp_path), "--config", str(config), "--out", str(out), "--perspective", "1"]
    monkeypatch.setattr("sys.argv", ["ablations", *arguments, "--keep-priors"])
    ablations.main()
    heading, _, _, *lines = [line.split(" | ") for line in out.read_text().splitlines()]
    assert heading[-1] == "perspective |"
    assert len(lines) == 2
    for line in lines:
        assert 0 <= float(line[-1].strip(" |")) <= 100
    assert lines[0][1] != lines[1][1] or lines[0][-1] != lines[1][-1]
