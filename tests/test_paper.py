"""The page of the paper's tables, on a made inspection set and without any other data."""

import argparse
import json
from pathlib import Path

import cv2
import pytest
from makers import walking_box, write_video
from rich.console import Console

from benchmarks import paper_cells
from benchmarks.inspection_set import SetOptions, write_inspection_set
from benchmarks.paper import CONFIG, cells, page, run
from benchmarks.paper_cells import (
    Cell,
    PaperError,
    PaperFigure,
    Places,
    drawn_figure,
    measured,
    read_paper,
    training_runs,
)
from benchmarks.paper_figures import as_rows
from models.baselines.methods import new_baseline, save_baseline

SMALL = """
draws: 1
tables:
  - title: Made
    note: A note.
    columns:
      - {title: AUROC, data: inspection, measure: category_auroc, shots: 2}
      - {title: pixels, data: inspection, measure: pixel_auroc, shots: 2}
      - {title: Ped2, data: ped2}
    rows:
      - {title: background, method: background, paper: [90.5, null, 70]}
      - {title: learned, method: ae-mse}
      - {title: theirs, paper: [1, 2, 3], not_measured: no weights}
"""


def options(tmp_path: Path, made: Path | None) -> argparse.Namespace:
    names = ("images", "ped1", "ped2", "avenue", "scenes", "turned", "contaminated", "only")
    return argparse.Namespace(
        **dict.fromkeys(names),
        inspection=made,
        checkpoints=tmp_path / "none",
        results=tmp_path / "results.json",
    )


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "paper.yaml"
    path.write_text(text)
    return path


def test_the_page_has_what_was_measured_beside_the_paper(tmp_path: Path) -> None:
    made = tmp_path / "made"
    write_inspection_set(made, SetOptions(32, 3, 2, 1), ("pill", "board"))
    paper = read_paper(written(tmp_path, SMALL))
    console = Console(quiet=True)
    results = run(paper, options(tmp_path, made), console)
    assert results.pop("runs") == {}
    (key,) = results  # ped2 has no data and ae-mse no weights
    assert key == "inspection: background, 2 shots, 1 draws"
    text = page(paper, results)
    auroc = results[key]["category_auroc"]["mean"]
    assert f"| background | {auroc:.1f} (90.5) | " in text
    assert "| learned | – | – | – |" in text
    assert "| theirs | – (1) | – (2) | – (3) |" in text
    assert "- *theirs*: no weights" in text
    # A second run measures nothing again, and needs no data for what it has.
    results[key]["category_auroc"]["mean"] = 12.3
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert run(paper, options(tmp_path, None), console) == {**results, "runs": {}}


def test_the_page_lists_the_training_runs(tmp_path: Path) -> None:
    provenance = {"training": {"iterations": 7}, "cpu_minutes": 1.5, "scenes": ["a", "b"]}
    save_baseline(new_baseline("vae", 0, (32, 48)), "vae", tmp_path / "in" / "vae", provenance)
    (runs,) = training_runs(tmp_path).values()
    paper = read_paper(written(tmp_path, SMALL))
    text = page(paper, {"runs": {"in/vae": runs}})
    assert "| in/vae | 32 × 48 | 2 | 7 | 1.5 |" in text


def synthetic_scenes(tmp_path: Path) -> Path:
    for number in range(2):
        place = tmp_path / "scenes" / f"scene{number}"
        place.mkdir(parents=True)
        pictures = [frame // (number + 1) for frame in walking_box(60)]
        write_video(place / "01.avi", pictures=pictures, frames_per_second=10)
    return tmp_path / "scenes"


def test_figures_are_curves(tmp_path: Path) -> None:
    places = Places({"held-out": synthetic_scenes(tmp_path)}, tmp_path)
    console = Console(quiet=True)
    small = {"title": "x", "note": "", "iterations": 6, "queries": 2, "steps": 3}
    losses = drawn_figure(PaperFigure(kind="losses", **small), places, None, console)
    assert {name: len(curve) for name, curve in losses.items()} == {"soft": 6, "sigshrink": 6}
    assert losses["soft"] != losses["sigshrink"]
    picture = tmp_path / "e.png"
    samples = drawn_figure(PaperFigure(kind="samples", **small), places, picture, console)
    assert {name: len(curve) for name, curve in samples.items()} == {
        "normal": 4,
        "patches": 4,
        "noise": 4,
    }
    assert samples["noise"][-1] < samples["noise"][0]  # sampling goes down the energy
    assert cv2.imread(str(picture)).shape == (4 * 64, 4 * 64, 3)
    assert as_rows(samples)[2].startswith("| normal | 0.")


def test_held_out_scenes_are_the_same_for_every_method(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = synthetic_scenes(tmp_path)
    monkeypatch.setattr(paper_cells, "HELD_OUT", ("scene0", "scene1"))
    monkeypatch.setattr(paper_cells, "_QUERIES", 3)
    places = Places({"held-out": folder}, tmp_path)
    found = [
        measured(Cell("held-out", method, None, 2, False, 2), places, Console(quiet=True))
        for method in ("background", "background", "difference")
    ]
    assert found[0]["frame_auroc_micro"] == found[1]["frame_auroc_micro"]
    assert found[0]["frame_auroc_micro"]["std"] is not None
    assert 0 <= found[2]["frame_auroc_micro"]["mean"] <= 100


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[90.5, null, 70]", "[90.5]"), "background: want 3 figures of the paper, got 1"),
        (("method: ae-mse", "method: pca"), "want model, nearest"),
        ((", not_measured: no weights", ""), "want either a method or not_measured"),
        (("data: ped2", "data: yard"), "tables.0.columns.2.data"),
    ],
)
def test_a_wrong_configuration_is_named(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(PaperError, match=message):
        read_paper(written(tmp_path, SMALL.replace(*change)))


def test_the_configuration_that_is_shipped_can_be_read() -> None:
    paper = read_paper(CONFIG)
    assert "nothing" not in page(paper, {})
    assert len(cells(paper, None)) == len({cell.key for cell in cells(paper, None)})
    assert {cell.data for cell in cells(paper, "Table B")} == {"turned"}
