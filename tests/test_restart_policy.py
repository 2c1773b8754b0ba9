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
def policy() -> RestartPolicy:
    """Everybody runs since second 0."""
    policy = RestartPolicy(GROUPS, frozenset({"scorer", "sink"}), RULES)
    assert policy.decide(0.0) == [Spawn(name) for name in ALL]
    for name in ALL:
        policy.spawned(name, 0.0)
        policy.heard(name, 0.0)
    assert policy.decide(0.0) == []
    return policy


def hear(policy: RestartPolicy, now: float, *names: str) -> None:
    for name in names or ALL:
        policy.heard(name, now)


def test_silence_is_forgiven_at_the_start_and_not_later(policy: RestartPolicy) -> None:
    assert policy.decide(29.9) == []
    hear(policy, 29.9)
    assert policy.decide(34.8) == []
    hear(policy, 34.8, "ingest:a", "ingest:b", "sink")
    assert policy.decide(34.9) == [Kill("scorer", "silent")]
    assert policy.decide(35.0) == [], "an instruction is given once"
    policy.exited("scorer", -9, 35.0)
    assert policy.lives["scorer"].reason == "silent"
    assert policy.decide(36.0) == [Spawn("scorer")]


def test_restarts_wait_longer_and_longer_and_come_to_an_end(policy: RestartPolicy) -> None:
    now = 0.0
    for delay in (1.0, 2.0, 3.0):
        policy.exited("ingest:a", 1, now)
        assert policy.decide(now + delay - 0.1) == []
        now += delay
        assert policy.decide(now) == [Spawn("ingest:a")]
        policy.spawned("ingest:a", now)
    policy.exited("ingest:a", -11, now)
    assert policy.lives["ingest:a"].phase == "failed"
    reason = "given up after 3 restarts in 60 s: SIGSEGV; tried again every 300 s"
    assert policy.lives["ingest:a"].reason == reason
    hear(policy, now, "ingest:b", "scorer", "sink")
    assert policy.decide(now) == [], "the others go on"


def give_up(policy: RestartPolicy, worker: str, now: float) -> None:
    for _ in range(RULES.restarts + 1):
        policy.exited(worker, 1, now)
        if policy.lives[worker].phase == "waiting":
            policy.spawned(worker, now)
    assert policy.lives[worker].phase == "failed"


def test_who_was_given_up_is_tried_again_later(policy: RestartPolicy) -> None:
    give_up(policy, "ingest:a", 1.0)
    for now in (5.0, 120.0, 300.9):
        hear(policy, now, "ingest:b", "scorer", "sink")
        assert policy.decide(now) == []
    hear(policy, 301.0, "ingest:b", "scorer", "sink")
    assert policy.decide(301.0) == [Spawn("ingest:a")]
    policy.spawned("ingest:a", 301.0)
    assert policy.lives["ingest:a"].restarts == RULES.restarts + 1
    assert policy.decide(301.0) == []
    policy.heard("ingest:a", 302.0)
    assert policy.lives["ingest:a"].phase == "running"
    give_up(policy, "ingest:a", 303.0)
    assert policy.lives["ingest:a"].due_at == 603.0


def test_who_was_given_up_is_tried_again_when_asked_to(policy: RestartPolicy) -> None:
    policy.exited("ingest:a", os.EX_CONFIG, 1.0)
    hear(policy, 9.0, "ingest:b", "scorer", "sink")
    policy.retry("ingest:b", 9.0)
    policy.retry("nobody", 9.0)
    assert policy.decide(9.0) == []
    policy.retry("ingest:a", 9.0)
    assert policy.decide(9.0) == [Spawn("ingest:a")]


def test_nobody_is_tried_again_who_shall_end(policy: RestartPolicy) -> None:
    give_up(policy, "ingest:a", 1.0)
    assert policy.retire("ingest:a", 2.0) == []
    hear(policy, 400.0, "ingest:b", "scorer", "sink")
    assert policy.decide(400.0) == []
    give_up(policy, "ingest:b", 400.0)
    policy.stop()
    hear(policy, 800.0, "scorer", "sink")
    assert policy.decide(800.0) == [Terminate("scorer")]


def test_who_prepares_is_starting_and_not_silent(policy: RestartPolicy) -> None:
    policy.exited("sink", 1, 1.0)
    policy.spawned("sink", 1.0)
    for second in range(1, 100):
        hear(policy, float(second), "ingest:a", "ingest:b", "scorer")
        policy.heard("sink", float(second), ready=False)
        assert policy.decide(float(second)) == []
    assert policy.lives["sink"].phase == "starting"
    policy.heard("sink", 100.0, ready=True)
    assert policy.lives["sink"].phase == "running"


def test_old_restarts_do_not_count(policy: RestartPolicy) -> None:
    for now in (0.0, 61.0, 122.0, 183.0, 244.0):
        policy.exited("ingest:a", 1, now)
        assert policy.lives["ingest:a"].due_at == now + 1.0
        policy.spawned("ingest:a", now + 1.0)
    assert policy.lives["ingest:a"].restarts == 5


def test_drain_follows_the_flow(policy: RestartPolicy) -> None:
    policy.stop()
    assert policy.decide(1.0) == [Terminate("ingest:a"), Terminate("ingest:b")]
    policy.exited("ingest:a", 0, 2.0)
    assert policy.decide(2.0) == []
    policy.exited("ingest:b", 0, 3.0)
    assert policy.decide(3.0) == [Terminate("scorer")]
    policy.exited("scorer", 0, 4.0)
    assert policy.decide(4.0) == [Terminate("sink")]
    assert not policy.over
    policy.exited("sink", 0, 5.0)
    assert policy.decide(5.0) == []
    assert policy.over
    assert {life.phase for life in policy.lives.values()} == {"finished"}


def test_drain_has_a_deadline_for_each_group(policy: RestartPolicy) -> None:
    policy.stop()
    policy.decide(1.0)
    hear(policy, 10.9)
    policy.exited("ingest:a", 0, 10.9)
    assert policy.decide(10.9) == []
    assert policy.decide(11.0) == [Kill("ingest:b", "did not end in time")]
    policy.exited("ingest:b", -9, 11.0)
    assert policy.lives["ingest:b"].phase == "failed"
    assert policy.decide(11.0) == [Terminate("scorer")]


def test_who_is_still_needed_is_restarted_during_the_drain(policy: RestartPolicy) -> None:
    policy.stop()
    policy.decide(1.0)
    policy.exited("scorer", -9, 1.0)
    assert policy.decide(2.0) == [Spawn("scorer")]
    policy.exited("ingest:a", 1, 2.0)
    assert policy.lives["ingest:a"].phase == "failed", "who drains is not started again"


def test_drain_forgets_who_waits_for_a_restart(policy: RestartPolicy) -> None:
    policy.exited("ingest:a", 1, 1.0)
    policy.stop()
    assert policy.decide(5.0) == [Terminate("ingest:b")]
    assert policy.lives["ingest:a"].phase == "finished"


def test_end_of_all_files_drains_the_rest(policy: RestartPolicy) -> None:
    policy.exited("ingest:a", 0, 1.0)
    assert policy.decide(1.0) == []
    policy.exited("ingest:b", 0, 2.0)
    assert policy.decide(2.0) == [Terminate("scorer")]


def test_worker_for_all_cameras_may_not_end_unasked(policy: RestartPolicy) -> None:
    policy.exited("scorer", 0, 1.0)
    assert policy.lives["scorer"].reason == "exit code 0"
    assert policy.decide(2.0) == [Spawn("scorer")]


def test_nobody_watches_without_a_scorer(policy: RestartPolicy) -> None:
    for _ in range(4):
        policy.exited("scorer", 1, 1.0)
        policy.spawned("scorer", 1.0) if policy.lives["scorer"].phase == "waiting" else None
    assert policy.decide(1.0) == [Terminate("ingest:a"), Terminate("ingest:b")]


def test_a_worker_that_cannot_work_is_not_started_again(policy: RestartPolicy) -> None:
    policy.exited("scorer", os.EX_CONFIG, 1.0)
    assert policy.lives["scorer"].phase == "failed"
    assert policy.lives["scorer"].restarts == 0
    assert policy.lives["scorer"].reason == "cannot work as configured; its log says why"
    assert policy.decide(1.0) == [Terminate("ingest:a"), Terminate("ingest:b")]
