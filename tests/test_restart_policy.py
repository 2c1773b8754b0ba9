import os

import pytest

from pipeline.runtime.restart_policy import Kill, RestartPolicy, RestartRules, Spawn, Terminate

RULES = RestartRules(
    start_seconds=30.0,
    silence_seconds=5.0,
    restarts=3,
    window_seconds=60.0,
    first_delay_seconds=1.0,
    longest_delay_seconds=3.0,
    drain_seconds=10.0,
)
GROUPS = [["ingest:a", "ingest:b"], ["scorer"], ["sink"]]
ALL = ["ingest:a", "ingest:b", "scorer", "sink"]


@pytest.fixture
def overseer() -> RestartPolicy:
    """Everybody runs since second 0."""
    overseer = RestartPolicy(GROUPS, frozenset({"scorer", "sink"}), RULES)
    assert overseer.decide(0.0) == [Spawn(name) for name in ALL]
    for name in ALL:
        overseer.spawned(name, 0.0)
        overseer.heard(name, 0.0)
    assert overseer.decide(0.0) == []
    return overseer


def hear(overseer: RestartPolicy, now: float, *names: str) -> None:
    for name in names or ALL:
        overseer.heard(name, now)


def test_silence_is_forgiven_at_the_start_and_not_later(overseer: RestartPolicy) -> None:
    assert overseer.decide(29.9) == []
    hear(overseer, 29.9)
    assert overseer.decide(34.8) == []
    hear(overseer, 34.8, "ingest:a", "ingest:b", "sink")
    assert overseer.decide(34.9) == [Kill("scorer", "silent")]
    assert overseer.decide(35.0) == [], "an instruction is given once"
    overseer.exited("scorer", -9, 35.0)
    assert overseer.lives["scorer"].reason == "silent"
    assert overseer.decide(36.0) == [Spawn("scorer")]


def test_restarts_wait_longer_and_longer_and_come_to_an_end(overseer: RestartPolicy) -> None:
    now = 0.0
    for delay in (1.0, 2.0, 3.0):
        overseer.exited("ingest:a", 1, now)
        assert overseer.decide(now + delay - 0.1) == []
        now += delay
        assert overseer.decide(now) == [Spawn("ingest:a")]
        overseer.spawned("ingest:a", now)
    overseer.exited("ingest:a", -11, now)
    assert overseer.lives["ingest:a"].phase == "failed"
    reason = "given up after 3 restarts in 60 s: SIGSEGV; tried again every 300 s"
    assert overseer.lives["ingest:a"].reason == reason
    hear(overseer, now, "ingest:b", "scorer", "sink")
    assert overseer.decide(now) == [], "the others go on"


def give_up(overseer: RestartPolicy, worker: str, now: float) -> None:
    for _ in range(RULES.restarts + 1):
        overseer.exited(worker, 1, now)
        if overseer.lives[worker].phase == "waiting":
            overseer.spawned(worker, now)
    assert overseer.lives[worker].phase == "failed"


def test_who_was_given_up_is_tried_again_later(overseer: RestartPolicy) -> None:
    give_up(overseer, "ingest:a", 1.0)
    for now in (5.0, 120.0, 300.9):
        hear(overseer, now, "ingest:b", "scorer", "sink")
        assert overseer.decide(now) == []
    hear(overseer, 301.0, "ingest:b", "scorer", "sink")
    assert overseer.decide(301.0) == [Spawn("ingest:a")]
    overseer.spawned("ingest:a", 301.0)
    assert overseer.lives["ingest:a"].restarts == RULES.restarts + 1
    assert overseer.decide(301.0) == []
    overseer.heard("ingest:a", 302.0)
    assert overseer.lives["ingest:a"].phase == "running"
    give_up(overseer, "ingest:a", 303.0)
    assert overseer.lives["ingest:a"].due_at == 603.0


def test_who_was_given_up_is_tried_again_when_asked_to(overseer: RestartPolicy) -> None:
    overseer.exited("ingest:a", os.EX_CONFIG, 1.0)
    hear(overseer, 9.0, "ingest:b", "scorer", "sink")
    overseer.retry("ingest:b", 9.0)
    overseer.retry("nobody", 9.0)
    assert overseer.decide(9.0) == []
    overseer.retry("ingest:a", 9.0)
    assert overseer.decide(9.0) == [Spawn("ingest:a")]


def test_nobody_is_tried_again_who_shall_end(overseer: RestartPolicy) -> None:
    give_up(overseer, "ingest:a", 1.0)
    assert overseer.retire("ingest:a", 2.0) == []
    hear(overseer, 400.0, "ingest:b", "scorer", "sink")
    assert overseer.decide(400.0) == []
    give_up(overseer, "ingest:b", 400.0)
    overseer.stop()
    hear(overseer, 800.0, "scorer", "sink")
    assert overseer.decide(800.0) == [Terminate("scorer")]


def test_who_prepares_is_starting_and_not_silent(overseer: RestartPolicy) -> None:
    overseer.exited("sink", 1, 1.0)
    overseer.spawned("sink", 1.0)
    for second in range(1, 100):
        hear(overseer, float(second), "ingest:a", "ingest:b", "scorer")
        overseer.heard("sink", float(second), ready=False)
        assert overseer.decide(float(second)) == []
    assert overseer.lives["sink"].phase == "starting"
    overseer.heard("sink", 100.0, ready=True)
    assert overseer.lives["sink"].phase == "running"


def test_old_restarts_do_not_count(overseer: RestartPolicy) -> None:
    for now in (0.0, 61.0, 122.0, 183.0, 244.0):
        overseer.exited("ingest:a", 1, now)
        assert overseer.lives["ingest:a"].due_at == now + 1.0
        overseer.spawned("ingest:a", now + 1.0)
    assert overseer.lives["ingest:a"].restarts == 5


def test_drain_follows_the_flow(overseer: RestartPolicy) -> None:
    overseer.stop()
    assert overseer.decide(1.0) == [Terminate("ingest:a"), Terminate("ingest:b")]
    overseer.exited("ingest:a", 0, 2.0)
    assert overseer.decide(2.0) == []
    overseer.exited("ingest:b", 0, 3.0)
    assert overseer.decide(3.0) == [Terminate("scorer")]
    overseer.exited("scorer", 0, 4.0)
    assert overseer.decide(4.0) == [Terminate("sink")]
    assert not overseer.over
    overseer.exited("sink", 0, 5.0)
    assert overseer.decide(5.0) == []
    assert overseer.over
    assert {life.phase for life in overseer.lives.values()} == {"finished"}


def test_drain_has_a_deadline_for_each_group(overseer: RestartPolicy) -> None:
    overseer.stop()
    overseer.decide(1.0)
    hear(overseer, 10.9)
    overseer.exited("ingest:a", 0, 10.9)
    assert overseer.decide(10.9) == []
    assert overseer.decide(11.0) == [Kill("ingest:b", "did not end in time")]
    overseer.exited("ingest:b", -9, 11.0)
    assert overseer.lives["ingest:b"].phase == "failed"
    assert overseer.decide(11.0) == [Terminate("scorer")]


def test_who_is_still_needed_is_restarted_during_the_drain(overseer: RestartPolicy) -> None:
    overseer.stop()
    overseer.decide(1.0)
    overseer.exited("scorer", -9, 1.0)
    assert overseer.decide(2.0) == [Spawn("scorer")]
    overseer.exited("ingest:a", 1, 2.0)
    assert overseer.lives["ingest:a"].phase == "failed", "who drains is not started again"


def test_drain_forgets_who_waits_for_a_restart(overseer: RestartPolicy) -> None:
    overseer.exited("ingest:a", 1, 1.0)
    overseer.stop()
    assert overseer.decide(5.0) == [Terminate("ingest:b")]
    assert overseer.lives["ingest:a"].phase == "finished"


def test_end_of_all_files_drains_the_rest(overseer: RestartPolicy) -> None:
    overseer.exited("ingest:a", 0, 1.0)
    assert overseer.decide(1.0) == []
    overseer.exited("ingest:b", 0, 2.0)
    assert overseer.decide(2.0) == [Terminate("scorer")]


def test_worker_for_all_cameras_may_not_end_unasked(overseer: RestartPolicy) -> None:
    overseer.exited("scorer", 0, 1.0)
    assert overseer.lives["scorer"].reason == "exit code 0"
    assert overseer.decide(2.0) == [Spawn("scorer")]


def test_nobody_watches_without_a_scorer(overseer: RestartPolicy) -> None:
    for _ in range(4):
        overseer.exited("scorer", 1, 1.0)
        overseer.spawned("scorer", 1.0) if overseer.lives["scorer"].phase == "waiting" else None
    assert overseer.decide(1.0) == [Terminate("ingest:a"), Terminate("ingest:b")]


def test_a_worker_that_cannot_work_is_not_started_again(overseer: RestartPolicy) -> None:
    overseer.exited("scorer", os.EX_CONFIG, 1.0)
    assert overseer.lives["scorer"].phase == "failed"
    assert overseer.lives["scorer"].restarts == 0
    assert overseer.lives["scorer"].reason == "cannot work as configured; its log says why"
    assert overseer.decide(1.0) == [Terminate("ingest:a"), Terminate("ingest:b")]
