"""The terms of the energy at the peak of an event, from the score to the message."""

from pathlib import Path

import numpy as np
import pytest

from models.calibration import Calibration
from pipeline.events.event import EventChange
from pipeline.events.event_settings import EventSettings
from pipeline.events.event_tracker import EventTracker
from pipeline.events.score_record import ScoreRecord
from pipeline.notifiers.message import event_message
from pipeline.scenes.adaptation import ScoredFrame
from pipeline.scoring.score_message import score_message, terms_of_score
from pipeline.storage.store import EventStore
from pipeline.transport.messages import FrameMessage


def changes(*scored: tuple[float, dict[str, float]]) -> list[EventChange]:
    """Changes from a tracker for frames 0.1 s apart."""
    tracker = EventTracker(EventSettings(min_duration_seconds=0.1, cooldown_seconds=0.0))
    found: list[EventChange] = []
    for index, (score, terms) in enumerate(scored):
        found += tracker.update(
            ScoreRecord(
                "door", 1, index, index / 10, 1000 + index / 10, score, "ready", terms=terms
            )
        )
    return found


def test_an_event_has_the_terms_of_its_peak() -> None:
    low, high = {"motion": 1.1, "residual": 0.1}, {"motion": 0.4, "residual": 1.6}
    found = changes((1.2, low), (1.3, low), (2.0, high), (1.5, low))
    assert found[0].kind == "new"
    assert found[0].event.terms == low
    assert found[-1].event.peak_score == 2.0
    assert found[-1].event.terms == high


def test_message_and_store_contain_the_terms(tmp_path: Path) -> None:
    event = changes((1.2, {"motion": 1.25}), (1.3, {"motion": 1.5, "still": 0.25}))[-1].event
    message = event_message(EventChange("new", event), None, None, api=False)
    assert message is not None
    assert message.terms == {"motion": 1.5, "still": 0.25}
    with EventStore(tmp_path / "events.sqlite") as store:
        store.save([event], {})
        assert [found.terms for found in store.events()] == [event.terms]


def test_terms_are_in_units_of_the_score() -> None:
    calibration = Calibration(median=1.0, threshold=5.0, spread=1.0, samples=60, final=True)
    assert terms_of_score({"motion": 2.0, "residual": -1.0}, calibration) == {
        "motion": pytest.approx(0.5),
        "residual": pytest.approx(-0.25),
    }


def test_a_score_message_contains_its_terms() -> None:
    frame = FrameMessage(
        camera="door", connection=1, index=0, pts_seconds=0.0, captured_at=0.0, sent_at=0.0,
        dropped=0, context=False, scorer=0, pixels=np.zeros((4, 4, 3), np.uint8),
    )  # fmt: skip
    judgement = ScoredFrame("ready", "", energy=2.0, score=0.5, threshold=4.0)
    sent = score_message(frame, judgement, None, 1.0, 0.0, terms={"motion": 0.5})
    assert sent.terms == {"motion": 0.5}
    assert score_message(frame, judgement, None, 1.0, 0.0).terms == {}
