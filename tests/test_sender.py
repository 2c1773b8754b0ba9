"""From the mailbox through the sender and a real scoring worker: nothing lost, nothing twice."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from stage_parts import (
    CollectingSink,
    noise_frames,
    scoring,
    small_config,
    worker_context,
)

from cameras.frame import Frame
from models import SceneScorer
from pipeline.ingest.in_flight import InFlight, Progress, ProgressFile
from pipeline.ingest.mailbox import Mailbox
from pipeline.ingest.sender import Sender, SenderTimes
from pipeline.transport.frames import FrameSender
from pipeline.worker import RunInfo, WorkerContext


@pytest.fixture(scope="module")
def scorer() -> SceneScorer:
    return SceneScorer.untrained("vedette", seed=0)


def frames_of(camera: str, count: int, seed: int = 0) -> list[Frame]:
    return [
        Frame(camera, one.connection, one.index, one.pts_seconds, one.captured_at, one.pixels)
        for one in noise_frames(camera, count, seed)
    ]


def scorer_context(run: RunInfo, incarnation: int = 1) -> WorkerContext:
    return worker_context("score", small_config(["street"]), run, incarnation=incarnation)


@contextmanager
def sending(run: RunInfo, mailbox: Mailbox) -> Iterator[tuple[WorkerContext, threading.Thread]]:
    """A sender in a thread; stopped at the end if it has not come to its end."""
    context = worker_context("ingest:street", small_config(["street"]), run, "street")
    progress = ProgressFile(run.data_folder / "state" / "street.json", run.started_ms)

    def send() -> None:
        with FrameSender(run.endpoints, "street") as port:
            Sender(context, "street", mailbox, port, progress, lambda: None).run()

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield context, thread
    finally:
        context.stop.set()
        thread.join(20)
    assert not thread.is_alive()


def progress_of(run: RunInfo) -> Progress | None:
    return ProgressFile(run.data_folder / "state" / "street.json", run.started_ms).load()


def test_a_file_to_its_end(run: RunInfo, scorer: SceneScorer) -> None:
    mailbox = Mailbox("wait", 4)
    with (
        scoring(scorer_context(run), scorer),
        CollectingSink(run) as sink,
        sending(run, mailbox) as (_, thread),
    ):
        feed(mailbox, frames_of("street", 40))
        mailbox.close()
        thread.join(20)
        assert not thread.is_alive(), "it ends by itself once all is done"
    assert [score.index for score in sink.scores] == list(range(40))
    assert progress_of(run) == Progress(connection=1, index=39, context_index=35)


def test_the_scorer_comes_late_and_is_replaced(run: RunInfo, scorer: SceneScorer) -> None:
    mailbox = Mailbox("wait", 4)
    frames = frames_of("street", 60)
    with CollectingSink(run) as sink, sending(run, mailbox) as (_, sender):
        for frame in frames[:4]:
            mailbox.put(frame)
        with scoring(scorer_context(run, incarnation=1), scorer):
            feed(mailbox, frames[4:30])
        feeder = threading.Thread(target=feed, args=(mailbox, frames[30:]))
        feeder.start()
        with scoring(scorer_context(run, incarnation=2), scorer):
            feeder.join(20)
            mailbox.close()
            sender.join(20)
            assert not sender.is_alive()
    assert [score.index for score in sink.scores] == list(range(60))


def test_a_live_camera_counts_what_it_loses(run: RunInfo, scorer: SceneScorer) -> None:
    mailbox = Mailbox("newest", 1)
    frames = frames_of("street", 400)
    with CollectingSink(run) as sink, sending(run, mailbox) as (_, sender):
        with scoring(scorer_context(run, incarnation=1), scorer):
            feed(mailbox, frames[:100], pause_seconds=0.002)
        feed(mailbox, frames[100:200], pause_seconds=0.002)
        with scoring(scorer_context(run, incarnation=2), scorer):
            feed(mailbox, frames[200:], pause_seconds=0.002)
            mailbox.close()
            sender.join(20)
    assert len(sink.scores) < 400
    for number, score in enumerate(sink.scores):
        assert score.index - score.dropped == number
    assert sink.scores[-1].index == 399


def test_an_earlier_life_is_gone_on_with(run: RunInfo, scorer: SceneScorer) -> None:
    frames = frames_of("street", 60)
    with scoring(scorer_context(run), scorer), CollectingSink(run) as sink:
        first = Mailbox("wait", 99)
        with sending(run, first) as (_, thread):
            feed(first, frames[:30])
            first.close()
            thread.join(20)
        done = progress_of(run)
        assert done == Progress(connection=1, index=29, context_index=25)
        second = Mailbox("wait", 99)
        with sending(run, second) as (_, thread):
            for frame in frames[done.context_index :]:
                second.put(frame, context=frame.index <= done.index)
            second.close()
            thread.join(20)
    assert [score.index for score in sink.scores] == list(range(60))


def test_stopped_without_a_scorer_it_gives_up_in_time(
    run: RunInfo, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.ingest.sender.TIMES", SenderTimes(drain=0.3))
    mailbox = Mailbox("wait", 4)
    mailbox.put(frames_of("street", 1)[0])
    with sending(run, mailbox) as (context, thread):
        context.stop.set()
        thread.join(10)
        assert not thread.is_alive()
    assert "camera street: stopped with 1 frames not done" in caplog.text


def test_progress_that_cannot_be_written_is_logged_once(
    run: RunInfo, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = run.data_folder / "state"
    place.write_text("in the way of the folder")
    kept = Progress(connection=1, index=2, context_index=0)
    monkeypatch.setattr(InFlight, "progress", kept)
    context = worker_context("ingest:street", small_config(["street"]), run, "street")
    with FrameSender(run.endpoints, "street") as port:
        progress = ProgressFile(place / "street.json", run.started_ms)
        sender = Sender(context, "street", Mailbox("wait", 4), port, progress, lambda: None)
        sender.save_progress()
        sender.save_progress()
        place.unlink()
        sender.save_progress()
        sender.save_progress()
    assert caplog.text.count("progress cannot be written") == 1
    assert progress_of(run) == kept


def feed(mailbox: Mailbox, frames: list[Frame], pause_seconds: float = 0.0) -> None:
    for frame in frames:
        mailbox.put(frame)
        if pause_seconds:
            time.sleep(pause_seconds)
