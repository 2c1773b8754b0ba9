import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from pipeline.notifiers.delivery import DeliveryWorker, RateLimit
from pipeline.notifiers.outbox import Outbox
from pipeline.notifiers.outbox_message import Bounds, Kind, OutboxMessage
from pipeline.notifiers.retry_policy import (
    Delivered,
    Disconnected,
    Failed,
    Outcome,
    Refused,
    retry_seconds,
)
from pipeline.telemetry.metrics import Metrics


def test_retries_double_to_a_minute_with_jitter_up_to_half() -> None:
    longest = [retry_seconds(failures, 0.0) for failures in range(1, 9)]
    assert longest == [1, 2, 4, 8, 16, 32, 60, 60]
    assert [retry_seconds(failures, 1.0) for failures in range(1, 9)] == [s / 2 for s in longest]
    assert retry_seconds(10_000, 0.5) == 45


def test_a_receiver_may_request_a_bounded_wait() -> None:
    assert retry_seconds(1, 0.0, requested=120) == 120
    assert retry_seconds(7, 0.0, requested=3) == 60
    assert retry_seconds(1, 0.0, requested=10**9) == 3600


def test_rate_limit_allows_a_burst_and_then_a_rate() -> None:
    pace, now, sent = RateLimit(5.0), 100.0, []
    while now < 110.0:
        wait = pace.wait_seconds(now)
        if wait == 0:
            pace.spend()
            sent.append(now)
        now += wait if wait > 0 else 0.001
    assert len([at for at in sent if at < 100.1]) == 5
    assert len(sent) == pytest.approx(5 + 5 * 10, abs=2)
    assert RateLimit(0.1).wait_seconds(0.0) == 0.0


class Receiver:
    """A notifier with prepared outcomes."""

    def __init__(self, outcome: Callable[[OutboxMessage], Outcome]) -> None:
        self.outcome = outcome
        self.attempts: list[str] = []

    def deliver(self, queued_message: OutboxMessage) -> Outcome:
        self.attempts.append(queued_message.key)
        return self.outcome(queued_message)

    def refresh(self, now: float) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.sqlite", Bounds()) as it:
        yield it


def put(outbox: Outbox, event: str, kind: Kind = "new", revision: int = 1) -> None:
    key = f"{event}:{kind}:{revision}"
    outbox.put(OutboxMessage("hook", key, event, kind, revision, "{}", 1000.0))


def delivery_worker(
    outbox: Outbox, receiver: Receiver, clock: Callable[[], float], rate: float = 1000.0
) -> tuple[DeliveryWorker, Metrics]:
    metrics = Metrics(CollectorRegistry())
    return DeliveryWorker("hook", receiver, outbox, rate, metrics, clock, lambda: 0.0), metrics


def failures(metrics: Metrics) -> float:
    value = metrics.registry.get_sample_value("vedette_sink_failures_total", {"sink": "hook"})
    return value or 0.0


def test_an_hour_of_outage_loses_nothing_and_sends_no_flood(outbox: Outbox) -> None:
    """In simulated time: one event a second, each with four new peaks, for an hour."""
    now = 0.0
    receiver = Receiver(
        lambda _: Failed("refused", unreachable=True) if now < 3600 else Delivered()
    )
    it, metrics = delivery_worker(outbox, receiver, lambda: now, rate=5.0)
    events, step_at, arrivals = 0, 0.0, []
    while now < 3600 or outbox.backlog("hook").messages:
        if now < 3600 and events <= now:
            for kind, revision in (("new", 1), ("update", 2), ("update", 3), ("end", 4)):
                if events % 60 == 0:  # one event a minute is enough for the disk of the test
                    put(outbox, f"e{events}", kind, revision)  # type: ignore[arg-type]
            events += 1
        while step_at <= now:
            before = len(receiver.attempts)
            step_at = now + max(0.001, it.step())
            if now >= 3600 and len(receiver.attempts) > before:
                arrivals.append(now)
        now += 0.25
    assert failures(metrics) < 80  # about once a minute, rather than 3,600 times
    delivered = receiver.attempts[-len(arrivals) :]
    assert delivered == [f"e{n}:{k}" for n in range(0, 3600, 60) for k in ("new:1", "end:4")]
    assert min(b - a for a, b in zip(arrivals, arrivals[10:], strict=False)) >= 1.0


def test_refused_messages_make_room_for_the_next(outbox: Outbox) -> None:
    put(outbox, "a")
    put(outbox, "b")
    receiver = Receiver(
        lambda queued_message: Refused("410") if queued_message.subject == "a" else Delivered()
    )
    it, metrics = delivery_worker(outbox, receiver, lambda: 0.0)
    while outbox.oldest("hook") is not None:
        assert it.step() == 0.0
    assert receiver.attempts == ["a:new:1", "b:new:1"]
    assert failures(metrics) == 1
    assert outbox.backlog("hook").refused == 1


def test_any_exception_of_a_library_is_a_failure_that_is_retried(outbox: Outbox) -> None:
    put(outbox, "a")

    def broken(_: OutboxMessage) -> Outcome:
        raise KeyError("no such thing")

    now = 0.0
    receiver = Receiver(broken)
    it, metrics = delivery_worker(outbox, receiver, lambda: now)
    it.step()
    it.step()
    assert (len(receiver.attempts), failures(metrics)) == (1, 1)  # the second step only waited
    now = 1.0
    receiver.outcome = lambda _: Delivered()
    it.step()
    assert outbox.oldest("hook") is None


def test_disconnected_is_not_a_failure_and_wakes_at_once(outbox: Outbox) -> None:
    put(outbox, "a")
    connected, attempts, done = threading.Event(), threading.Event(), threading.Event()

    def maybe(_: OutboxMessage) -> Outcome:
        attempts.set()
        if not connected.is_set():
            return Disconnected()
        done.set()
        return Delivered()

    it, metrics = delivery_worker(outbox, Receiver(maybe), lambda: 0.0)
    it.start()
    assert attempts.wait(5)
    connected.set()
    it.wake()
    assert done.wait(0.9)  # sooner than without `wake`
    it.stop(time.monotonic() + 5)
    assert failures(metrics) == 0


def test_a_hanging_delivery_worker_blocks_neither_outbox_nor_shutdown(outbox: Outbox) -> None:
    put(outbox, "a")
    hanging, release = threading.Event(), threading.Event()

    def hang(_: OutboxMessage) -> Outcome:
        hanging.set()
        release.wait(10)
        return Delivered()

    it, _ = delivery_worker(outbox, Receiver(hang), lambda: 0.0)
    it.start()
    assert hanging.wait(5)
    for number in range(50):
        put(outbox, f"more{number}")
    assert outbox.backlog("hook").messages == 51
    it.stop(0.0)
    release.set()


def poisoned(queued_message: OutboxMessage) -> Outcome:
    return Failed("got HTTP status 500") if queued_message.subject == "a" else Delivered()


def run_until(
    it: DeliveryWorker, now: list[float], done: Callable[[], bool], seconds: float
) -> None:
    begin, step_at = now[0], now[0]
    while not done():
        assert now[0] - begin < seconds
        now[0] = max(now[0] + 0.01, step_at)
        step_at = now[0] + it.step()


def test_a_message_that_is_not_accepted_is_skipped_and_put_aside(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    now = [0.0]
    put(outbox, "a", "new", 1)
    put(outbox, "a", "end", 2)
    for event in "bcd":
        put(outbox, event)
    receiver = Receiver(poisoned)
    it, metrics = delivery_worker(outbox, receiver, lambda: now[0])
    run_until(it, now, lambda: "d:new:1" in receiver.attempts, seconds=10)
    put(outbox, "later")
    run_until(it, now, lambda: "later:new:1" in receiver.attempts, seconds=2)
    receiver.outcome = lambda queued_message: (
        Failed("got HTTP status 500") if queued_message.key == "a:new:1" else Delivered()
    )
    run_until(it, now, lambda: outbox.oldest("hook") is None, seconds=300)
    assert receiver.attempts.count("a:new:1") == 8
    assert receiver.attempts[-1] == "a:end:2"  # in the order of its event, and only afterwards
    assert outbox.backlog("hook").refused == 1
    assert "message a:new:1 is put aside: got HTTP status 500; 8 attempts" in caplog.text
    assert failures(metrics) == 8


def test_a_message_behind_a_bad_one_waits_some_seconds_at_most(outbox: Outbox) -> None:
    now = [0.0]
    put(outbox, "a")
    receiver = Receiver(poisoned)
    it, _ = delivery_worker(outbox, receiver, lambda: now[0])
    run_until(it, now, lambda: now[0] > 1000, seconds=1100)  # alone: it may be the receiver
    assert outbox.backlog("hook").refused == 0
    assert len(receiver.attempts) < 30
    put(outbox, "b")
    run_until(it, now, lambda: "b:new:1" in receiver.attempts, seconds=5.1)


def test_a_receiver_that_accepts_nothing_is_not_flooded_and_loses_nothing(outbox: Outbox) -> None:
    now = [0.0]
    receiver = Receiver(lambda _: Failed("got HTTP status 500"))
    it, metrics = delivery_worker(outbox, receiver, lambda: now[0])
    for number in range(60):
        put(outbox, f"e{number}")
        until = now[0] + 60
        run_until(it, now, lambda until=until: now[0] >= until, seconds=100)  # type: ignore[misc]
    assert failures(metrics) < 130
    receiver.attempts.clear()
    receiver.outcome = lambda _: Delivered()
    run_until(it, now, lambda: outbox.oldest("hook") is None, seconds=100)
    assert sorted(receiver.attempts) == sorted(f"e{number}:new:1" for number in range(60))


def test_retries_end_after_the_give_up_time(outbox: Outbox) -> None:
    now = [0.0]
    put(outbox, "a")
    receiver = Receiver(lambda _: Failed("got HTTP status 404", give_up_seconds=600.0))
    it, _ = delivery_worker(outbox, receiver, lambda: now[0])
    run_until(it, now, lambda: outbox.oldest("hook") is None, seconds=700)
    assert now[0] >= 600
    assert outbox.backlog("hook").refused == 1
