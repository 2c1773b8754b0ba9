"""Absorption of persistent and recurring events: requests, labels, logs and objections."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from pipeline.alerts.absorption import Absorption
from pipeline.events.event import Event
from pipeline.storage.event_queries import Annotation
from pipeline.storage.store import EventStore
from pipeline.telemetry.metrics import Metrics
from pipeline.transport.commands import AcceptAsNormal, AcceptRecurring, RevokeNormal
from pipeline.transport.messages import Answer

EVENT = Event("yard-1-0", "yard", 1, 0, 5e8, 0.5, None, 9.9, 1.4, 5e8, 1, 9, "ready", False, 7)
OLD = replace(EVENT, duration_seconds=10.0)


class Scorer:
    """A scoring worker with prepared answers."""

    def __init__(self) -> None:
        self.commands: list[AcceptAsNormal | AcceptRecurring | RevokeNormal] = []
        self.answer = Answer("", "ok", {"remembered": True})
        self.before: Callable[[], None] = lambda: None
        self.alike = [True] * 20

    def ask(self, command: AcceptAsNormal | AcceptRecurring | RevokeNormal) -> Answer:
        self.before()
        self.commands.append(command)
        if isinstance(command, AcceptRecurring):
            return Answer("", "ok", {"alike": self.alike[: len(command.earlier)]})
        return self.answer


class Bench:
    """An absorption with its store, metrics and clock."""

    def __init__(self, store: EventStore) -> None:
        self.store = store
        self.scorer = Scorer()
        self.now = 1000.0
        self.metrics = Metrics(CollectorRegistry())
        self.absorption = Absorption(self.scorer.ask, store, self.metrics, lambda: self.now)
        self._applied = 0

    def apply_results(self, count: int) -> None:
        """Wait for this number of answers in total, and apply them."""
        deadline = time.monotonic() + 10
        while self._applied + (answered := self.absorption._answers.qsize()) < count:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        self._applied += answered
        self.absorption.apply_results()

    @property
    def label(self) -> tuple[str | None, str | None]:
        stored = self.store.event(EVENT.id)
        assert stored is not None
        return stored.label, stored.note

    @property
    def counted(self) -> float | None:
        read = self.metrics.registry.get_sample_value
        return read("vedette_events_absorbed_total", {"camera": "yard"})


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with EventStore(tmp_path / "events.sqlite") as store:
        store.save([EVENT], {})
        found = Bench(store)
        with found.absorption:
            yield found


def test_a_persistent_event_is_accepted_labelled_and_logged(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    bench.absorption.consider(EVENT, 10.0)
    bench.absorption.consider(OLD, 0.0)
    bench.absorption.consider(OLD, 10.0)
    bench.apply_results(count=1)
    assert bench.scorer.commands == [
        AcceptAsNormal(name="yard", event="yard-1-0", begin=5e8, newest=True)
    ], "neither too young nor where it is never wanted"
    note = "absorbed: it had lasted 10 s, and counts as normal since then"
    assert bench.label == ("normal", note)
    assert bench.counted == 1
    assert "event yard-1-0: absorbed, as it had lasted 10 s" in caplog.text


def test_an_event_that_continues_is_requested_again_and_counted_once(bench: Bench) -> None:
    for number in range(1, 4):
        bench.absorption.consider(OLD, 10.0)
        bench.absorption.consider(OLD, 10.0)
        bench.apply_results(count=number)
        bench.now += 61.0
    assert len(bench.scorer.commands) == 3
    assert bench.counted == 1


def test_a_label_of_a_person_takes_precedence(bench: Bench) -> None:
    bench.store.annotate(EVENT.id, Annotation(label="anomaly"))
    bench.absorption.consider(OLD, 10.0)
    bench.apply_results(count=0)
    assert bench.scorer.commands == []
    bench.store.annotate(EVENT.id, Annotation(label=None, note="mine"))
    bench.now += 61.0
    bench.absorption.consider(OLD, 10.0)
    bench.apply_results(count=1)
    assert bench.label == ("normal", "mine"), "no note is written over"


def test_an_event_whose_label_was_removed_is_not_absorbed_again(bench: Bench) -> None:
    bench.absorption.consider(OLD, 10.0)
    bench.apply_results(count=1)
    bench.store.annotate(EVENT.id, Annotation(label=None))
    bench.now += 61.0
    bench.absorption.consider(OLD, 10.0)
    bench.apply_results(count=1)
    assert len(bench.scorer.commands) == 1


def test_a_label_given_while_a_request_is_pending(bench: Bench) -> None:
    def object_to_it() -> None:
        bench.store.annotate(EVENT.id, Annotation(label="anomaly"))

    bench.scorer.before = object_to_it
    bench.absorption.consider(OLD, 10.0)
    bench.apply_results(count=1)
    bench.apply_results(count=2)
    assert bench.scorer.commands[1] == RevokeNormal(name="yard", event="yard-1-0")
    assert bench.label == ("anomaly", None)
    assert bench.counted is None


def test_a_failed_request_is_retried_even_after_the_event(bench: Bench) -> None:
    bench.scorer.answer = Answer("", "unavailable", problem="the scorer is not there")
    bench.absorption.consider(OLD, 10.0)
    bench.apply_results(count=1)
    assert bench.label == (None, None)
    bench.absorption.apply_results()
    assert len(bench.scorer.commands) == 1, "not at once"
    bench.scorer.answer = Answer("", "ok", {"remembered": True})
    bench.now += 6.0
    bench.absorption.apply_results()
    bench.apply_results(count=2)
    assert bench.label[0] == "normal"


def test_no_label_without_stored_features(bench: Bench) -> None:
    bench.scorer.answer = Answer("", "ok", {"remembered": False})
    bench.absorption.consider(OLD, 10.0)
    bench.apply_results(count=1)
    assert bench.label == (None, None)
    assert bench.counted is None


def visit(number: int, hours: float) -> Event:
    """One of several ended events."""
    began = 5e8 + 3600.0 * hours
    return replace(
        EVENT, id=f"yard-2-{number}", started_at=began, ended_at=began + 5.0, duration_seconds=5.0
    )


def visits(bench: Bench, count: int) -> Event:
    """Store so many events, one hour apart; returns the last one."""
    events = [visit(number, hours=number) for number in range(count)]
    bench.store.save(events, {})
    return events[-1]


def labels(bench: Bench) -> list[str | None]:
    stored = [bench.store.event(f"yard-2-{number}") for number in range(5)]
    return [one.label for one in stored if one is not None]


def test_a_recurring_event_becomes_normal_with_a_note(bench: Bench) -> None:
    last = visits(bench, 4)
    bench.absorption.consider_recurring(last, 0)
    bench.absorption.consider_recurring(replace(last, state="calibrating"), 4)
    bench.absorption.consider_recurring(last, 5)
    bench.absorption.consider_recurring(last, 4)
    bench.apply_results(count=1)
    bench.apply_results(count=2)
    recurs, remember = bench.scorer.commands
    assert isinstance(recurs, AcceptRecurring)
    assert len(recurs.earlier) == 3
    assert remember == AcceptAsNormal(
        name="yard", event=last.id, begin=last.started_at, end=last.ended_at
    )
    assert labels(bench) == [None, None, None, "normal"]
    stored = bench.store.event(last.id)
    assert stored is not None
    assert stored.note == "absorbed: it occurred 4 times in a day, and counts as normal since then"
    assert bench.counted == 1


def test_at_most_one_recurring_event_per_hour_becomes_normal(bench: Bench) -> None:
    last = visits(bench, 4)
    bench.absorption.consider_recurring(last, 4)
    bench.apply_results(count=1)
    bench.apply_results(count=2)
    after = visit(4, hours=3.5)
    bench.store.save([after], {})
    bench.absorption.consider_recurring(after, 4)
    assert len(bench.scorer.commands) == 2
    bench.now += 3601.0
    bench.absorption.consider_recurring(after, 4)
    bench.apply_results(count=3)
    bench.apply_results(count=4)
    assert labels(bench)[-1] == "normal"


@pytest.mark.parametrize("objection", ["anomaly", "label removed"])
def test_an_event_similar_to_an_anomaly_does_not_become_normal(
    bench: Bench, objection: str
) -> None:
    last = visits(bench, 4)
    note = (
        Annotation(label="anomaly") if objection == "anomaly" else Annotation(note="absorbed: so")
    )
    bench.store.annotate("yard-2-0", note)
    bench.absorption.consider_recurring(last, 4)
    bench.apply_results(count=1)
    assert len(bench.scorer.commands) == 1
    assert labels(bench)[-1] is None


def test_different_or_old_events_do_not_count_as_recurring(bench: Bench) -> None:
    last = visits(bench, 4)
    bench.scorer.alike = [True, False, True]
    bench.absorption.consider_recurring(last, 4)
    bench.apply_results(count=1)
    late = visit(9, hours=26.5)
    bench.store.save([late], {})
    bench.absorption.consider_recurring(late, 4)
    assert len(bench.scorer.commands) == 1
    assert labels(bench) == [None] * 4
