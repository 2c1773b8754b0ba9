"""What single clips gave, and the moments that an evaluation shows, against cases made by hand."""

import json
import re
from base64 import b64decode
from dataclasses import replace

import cv2
import numpy as np
import pytest
from makers import small_scorer, write_flickers
from rich.console import Console
from rich.progress import Progress

from models import SceneScorer
from pipeline.datasets.layout import Dataset, read_frames
from pipeline.datasets.ucsd import load_ucsd
from pipeline.evaluation import clip_sheets as sheets_module
from pipeline.evaluation.clip_sheets import clip_sheets, short_clip_sheet
from pipeline.evaluation.html_report import html_report
from pipeline.evaluation.moments import MOST_KEPT, ClipCourse, FailureMoments, find_moments
from pipeline.evaluation.per_clip import TermMeans, clip_figures, separating, term_means
from pipeline.evaluation.report import to_json
from pipeline.evaluation.results import Evaluation, EvaluationOptions
from pipeline.evaluation.runner import evaluate


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return load_ucsd(write_flickers(tmp_path_factory.mktemp("made")), "ped2")


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return small_scorer()


@pytest.fixture(scope="module")
def measured(dataset: Dataset, scorer: SceneScorer) -> Evaluation:
    options = EvaluationOptions(shots=2, draws=2)
    with Progress(console=Console(quiet=True)) as progress:
        return evaluate(dataset, scorer, options, progress)


@pytest.fixture
def by_hand(measured: Evaluation) -> Evaluation:
    """Test001 has a false alarm and its event is found late, that of Test002 is missed."""
    first, second, third = np.zeros(16), np.zeros(16), np.zeros(16)
    first[[2, 10]] = 5.0, 8.0
    second[5], third[7] = 1.0, 0.5
    values = [first, second, third]
    parts = [np.stack([0.25 * clip, 0.75 * clip, 0.0 * clip], axis=1) for clip in values]
    assert measured.alarms is not None
    courses = [
        ClipCourse(energies, labels, times, terms, maps_with_a_spot(16))
        for energies, labels, times, terms in zip(
            values, measured.labels, measured.pts_seconds, parts, strict=True
        )
    ]
    return replace(
        measured,
        options=replace(measured.options, draws=1),
        draws=[replace(measured.draws[0], values=values)],
        parts=parts,
        alarms=replace(
            measured.alarms,
            draws=[replace(measured.alarms.draws[0], threshold=4.0)],
            moments=find_moments(courses, 4.0, 5.0),
        ),
    )


def maps_with_a_spot(frames: int) -> np.ndarray:
    maps = np.zeros((frames, 6, 8), dtype=np.float16)
    maps[:, 5, 0] = 20.0
    return maps


def course(values: list[float], labels: str) -> ClipCourse:
    energies = np.array(values)
    return ClipCourse(
        energies,
        np.array([letter == "#" for letter in labels]),
        np.arange(len(values), dtype=np.float64),
        np.stack([energies, -energies], axis=1),
        maps_with_a_spot(len(values)),
    )


def test_parts_add_up_to_the_energies_of_the_first_draw(measured: Evaluation) -> None:
    assert measured.terms == ("residual", "motion", "still")
    for parts, values in zip(measured.parts, measured.draws[0].values, strict=True):
        assert parts.shape == (16, 3)
        # The four before have less past than a clip; what makes them comparable is added.
        np.testing.assert_allclose(parts[4:].sum(axis=1), values[4:], atol=1e-4)


def test_moments_are_the_peaks_of_missed_events_and_of_false_alarms() -> None:
    clips = [course([0, 1, 2, 0, 9, 0], ".##.#."), course([7, 0, 3, 0], "..#.")]
    found = find_moments(clips, 5.0, 2.0)
    assert [(m.clip, m.first, m.last, m.peak) for m in found.missed] == [(0, 1, 2, 2), (1, 2, 2, 2)]
    (false,) = found.false_alarms
    assert (false.clip, false.peak, false.energy) == (1, 0, 7.0)
    assert false.parts.tolist() == [7.0, -7.0]
    assert false.anomaly_map.base is None  # keeps no other frame's map in memory


def test_an_alarm_on_both_sides_of_an_event_peaks_outside_it() -> None:
    (false,) = find_moments([course([5, 6, 9, 5], "..#.")], 5.0, 5.0).false_alarms
    assert (false.first, false.last, false.peak) == (0, 3, 1)


def test_no_more_moments_are_kept_than_a_page_can_show() -> None:
    heights = [float(number % 7 + 10) for number in range(MOST_KEPT + 6)]
    normal = course([value for height in heights for value in (height, 0.0)], ".." * len(heights))
    found = find_moments([normal], 5.0, 0.5)
    assert (len(found.false_alarms), found.false_alarm_count) == (MOST_KEPT, MOST_KEPT + 6)
    kept = [moment.energy for moment in found.false_alarms]
    assert kept == sorted(heights, reverse=True)[:MOST_KEPT]
    events = course([value - 9 for height in heights for value in (height, 9)], "#." * len(heights))
    missed = find_moments([events], 9.0, 0.5)
    assert (len(missed.missed), missed.missed_count) == (MOST_KEPT, MOST_KEPT + 6)
    assert [moment.energy + 9 for moment in missed.missed] == sorted(heights)[:MOST_KEPT]


def test_figures_of_each_clip(by_hand: Evaluation) -> None:
    first, second, third = clip_figures(by_hand)
    assert (first.name, first.frames, first.anomalous) == ("Test001", 16, 8)
    assert first.aurocs == (pytest.approx((7 * 3.5 + 8) / 64),)  # 7 zeros among 7 zeros and a 5
    assert (first.highest, first.highest_frame, first.false_alarms) == (8.0, 10, 1)
    assert first.events is not None
    (event,) = first.events
    assert (event.first, event.last, event.delay_seconds) == (8, 15, pytest.approx(0.2))
    assert second.events is not None
    assert second.events[0].delay_seconds is None
    assert (first.found, second.found) == (1, 0)
    assert first.terms["motion"] == TermMeans(0.75, pytest.approx(0.75 * 5 / 8))
    assert separating(first.terms) == "motion"
    assert (third.aurocs, third.events, separating(third.terms)) == ((), (), None)
    assert third.terms["residual"] == TermMeans(None, pytest.approx(0.125 / 16))
    assert term_means(by_hand)["motion"].anomalous == pytest.approx(0.75 * 9 / 12)


def test_a_term_that_is_lower_on_anomalous_frames_separates_nothing() -> None:
    assert separating({"motion": TermMeans(1.0, 2.0), "still": TermMeans(0.0, 0.0)}) is None


def test_json_has_the_figures_of_each_clip(by_hand: Evaluation) -> None:
    result = json.loads(json.dumps(to_json(by_hand), allow_nan=False))
    assert result["clips"][1]["events"] == [{"first": 3, "last": 6, "delay_seconds": None}]
    assert result["clips"][2]["frame_auroc"] is None
    assert result["terms"]["still"] == {"anomalous": 0.0, "normal": 0.0}
    assert result["kinds"] == {}


def test_tables_name_events_and_terms(by_hand: Evaluation, monkeypatch: pytest.MonkeyPatch) -> None:
    clips, terms = clip_sheets(by_hand)
    ((first, second, third),) = clips.sections
    assert first.cells[-2:] == ("8–15 found after 0.2 s", "1")
    assert second.cells[-2:] == ("3–6 missed", "0")
    assert third.cells[:3] == ("Test003", "–", "0 of 16")
    assert "1 of 2 events missed, 1 false alarms" in clips.note
    assert terms.sections[0][0].cells[0] == "all frames"
    assert "every clip" in short_clip_sheet(by_hand).title
    monkeypatch.setattr(sheets_module, "SHORT_ROWS", 1)
    short = short_clip_sheet(by_hand)
    assert "the 1 of 3 clips with the lowest AUROC" in short.title
    assert [row.cells[0] for row in short.sections[0]] == ["Test001"]


def test_report_shows_missed_events_and_false_alarms(by_hand: Evaluation) -> None:
    page = html_report(by_hand)
    missed, false = pictures(page)
    assert "Test002, frames 3–6, at 5 (0.5 s)<br>\nenergy 1.00: residual 0.25, motion 0.75" in page
    assert "Test001, frames 2–2, at 2 (0.2 s)<br>\nenergy 5.00: residual 1.25, motion 3.75" in page
    for picture, clip, place in ((missed, 1, 5), (false, 0, 2)):
        frame = list(read_frames(by_hand.dataset.test[clip]))[place].pixels
        apart = np.abs(picture.astype(float) - frame)
        assert apart[:30, 20:38].mean() < 8  # that very frame, where nothing is drawn
        assert apart[42:, :6].mean() > 40  # the hot spot of the map
    # The mask of the event is outlined; the false alarm has none.
    green = [int(np.sum(p[..., 1].astype(int) - p[..., 0] > 90)) for p in (missed, false)]
    assert green[0] > 30
    assert green[1] == 0


def test_report_says_what_it_leaves_out_and_where_nothing_went_wrong(by_hand: Evaluation) -> None:
    assert by_hand.alarms is not None
    moments = replace(by_hand.alarms.moments, false_alarm_count=87)
    page = html_report(replace(by_hand, alarms=replace(by_hand.alarms, moments=moments)))
    assert "The 1 highest of 87." in page
    nothing = replace(by_hand.alarms, moments=FailureMoments([], 0, [], 0))
    assert html_report(replace(by_hand, alarms=nothing)).count("None.</p>") == 2


def pictures(page: str) -> list[np.ndarray]:
    found = re.findall(r"data:image/jpeg;base64,([^\"]+)", page)
    decoded = [cv2.imdecode(np.frombuffer(b64decode(data), np.uint8), 1) for data in found]
    return [cv2.cvtColor(picture, cv2.COLOR_BGR2RGB) for picture in decoded]
