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
    """All workers run since second 0."""
    policy = RestartPolicy(GROUPS, frozenset({"scorer", "sink"}), RULES)
    assert policy.decide(0.0) == [Spawn(name) for name in ALL]
    for name in ALL:
        policy.spawned(name, 0.0)
        policy.heartbeat_received(name, 0.0)
    assert policy.decide(0.0) == []
    return policy


def heartbeats(policy: RestartPolicy, now: float, *names: str) -> None:
    for name in names or ALL:
        policy.heartbeat_received(name, now)


def test_heartbeat_timeout_is_longer_at_the_start(policy: RestartPolicy) -> None:
    assert policy.decide(29.9) == []
    heartbeats(policy, 29.9)
    assert policy.decide(34.8) == []
    heartbeats(policy, 34.8, "ingest:a", "ingest:b", "sink")
    assert policy.decide(34.9) == [Kill("scorer", "silent")]
    assert policy.decide(35.0) == [], "an instruction is given once"
    policy.exited("scorer", -9, 35.0)
    assert policy.workers["scorer"].reason == "silent"
    assert policy.decide(36.0) == [Spawn("scorer")]


def test_restart_delay_grows_and_restarts_are_limited(policy: RestartPolicy) -> None:
    now = 0.0
    for delay in (1.0, 2.0, 3.0):
        policy.exited("ingest:a", 1, now)
        assert policy.decide(now + delay - 0.1) == []
        now += delay
        assert policy.decide(now) == [Spawn("ingest:a")]
        policy.spawned("ingest:a", now)
    policy.exited("ingest:a", -11, now)
    assert policy.workers["ingest:a"].phase == "failed"
    reason = "given up after 3 restarts in 60 s: SIGSEGV; retried every 300 s"
    assert policy.workers["ingest:a"].reason == reason
    heartbeats(policy, now, "ingest:b", "scorer", "sink")
    assert policy.decide(now) == [], "the others go on"


def give_up(policy: RestartPolicy, worker: str, now: float) -> None:
    for _ in range(RULES.restarts + 1):
        policy.exited(worker, 1, now)
        if policy.workers[worker].phase == "waiting":
            policy.spawned(worker, now)
    assert policy.workers[worker].phase == "failed"


def test_failed_worker_is_retried_later(policy: RestartPolicy) -> None:
    give_up(policy, "ingest:a", 1.0)
    for now in (5.0, 120.0, 300.9):
        heartbeats(policy, now, "ingest:b", "scorer", "sink")
        assert policy.decide(now) == []
    heartbeats(policy, 301.0, "ingest:b", "scorer", "sink")
    assert policy.decide(301.0) == [Spawn("ingest:a")]
    policy.spawned("ingest:a", 301.0)
    assert policy.workers["ingest:a"].restarts == RULES.restarts + 1
    assert policy.decide(301.0) == []
    policy.heartbeat_received("ingest:a", 302.0)
    assert policy.workers["ingest:a"].phase == "running"
    give_up(policy, "ingest:a", 303.0)
    assert policy.workers["ingest:a"].due_at == 603.0


def test_failed_worker_is_retried_on_request(policy: RestartPolicy) -> None:
    policy.exited("ingest:a", os.EX_CONFIG, 1.0)
    heartbeats(policy, 9.0, "ingest:b", "scorer", "sink")
    policy.retry("ingest:b", 9.0)
    policy.retry("ingest:unknown", 9.0)
    assert policy.decide(9.0) == []
    policy.retry("ingest:a", 9.0)
    assert policy.decide(9.0) == [Spawn("ingest:a")]


def test_draining_worker_is_not_retried(policy: RestartPolicy) -> None:
    give_up(policy, "ingest:a", 1.0)
    assert policy.retire("ingest:a", 2.0) == []
    heartbeats(policy, 400.0, "ingest:b", "scorer", "sink")
    assert policy.decide(400.0) == []
    give_up(policy, "ingest:b", 400.0)
    policy.stop()
    heartbeats(policy, 800.0, "scorer", "sink")
    assert policy.decide(800.0) == [Terminate("scorer")]


def test_preparing_worker_is_starting_and_does_not_time_out(policy: RestartPolicy) -> None:
    policy.exited("sink", 1, 1.0)
    policy.spawned("sink", 1.0)
    for second in range(1, 100):
        heartbeats(policy, float(second), "ingest:a", "ingest:b", "scorer")
        policy.heartbeat_received("sink", float(second), ready=False)
        assert policy.decide(float(second)) == []
    assert policy.workers["sink"].phase == "starting"
    policy.heartbeat_received("sink", 100.0, ready=True)
    assert policy.workers["sink"].phase == "running"


def test_old_restarts_do_not_count(policy: RestartPolicy) -> None:
    for now in (0.0, 61.0, 122.0, 183.0, 244.0):
        policy.exited("ingest:a", 1, now)
        assert policy.workers["ingest:a"].due_at == now + 1.0
        policy.spawned("ingest:a", now + 1.0)
    assert policy.workers["ingest:a"].restarts == 5


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
    assert {life.phase for life in policy.workers.values()} == {"finished"}


def test_drain_has_a_deadline_for_each_group(policy: RestartPolicy) -> None:
    policy.stop()
    policy.decide(1.0)
    heartbeats(policy, 10.9)
    policy.exited("ingest:a", 0, 10.9)
    assert policy.decide(10.9) == []
    assert policy.decide(11.0) == [Kill("ingest:b", "did not end in time")]
    policy.exited("ingest:b", -9, 11.0)
    assert policy.workers["ingest:b"].phase == "failed"
    assert policy.decide(11.0) == [Terminate("scorer")]


def test_worker_that_is_still_needed_is_restarted_during_the_drain(policy: RestartPolicy) -> None:
    policy.stop()
    policy.decide(1.0)
    policy.exited("scorer", -9, 1.0)
    assert policy.decide(2.0) == [Spawn("scorer")]
    policy.exited("ingest:a", 1, 2.0)
    assert policy.workers["ingest:a"].phase == "failed", "a draining worker is not restarted"


def test_drain_ends_workers_that_wait_for_a_restart(policy: RestartPolicy) -> None:
    policy.exited("ingest:a", 1, 1.0)
    policy.stop()
    assert policy.decide(5.0) == [Terminate("ingest:b")]
    assert policy.workers["ingest:a"].phase == "finished"


def test_end_of_all_files_drains_the_rest(policy: RestartPolicy) -> None:
    policy.exited("ingest:a", 0, 1.0)
    assert policy.decide(1.0) == []
    policy.exited("ingest:b", 0, 2.0)
    assert policy.decide(2.0) == [Terminate("scorer")]


def test_worker_for_all_cameras_is_restarted_when_it_returns(policy: RestartPolicy) -> None:
    policy.exited("scorer", 0, 1.0)
    assert policy.workers["scorer"].reason == "exit code 0"
    assert policy.decide(2.0) == [Spawn("scorer")]


def test_run_ends_without_a_scorer(policy: RestartPolicy) -> None:
    for _ in range(4):
        policy.exited("scorer", 1, 1.0)
        policy.spawned("scorer", 1.0) if policy.workers["scorer"].phase == "waiting" else None
    assert policy.decide(1.0) == [Terminate("ingest:a"), Terminate("ingest:b")]


def test_a_worker_that_cannot_work_is_not_started_again(policy: RestartPolicy) -> None:
    policy.exited("scorer", os.EX_CONFIG, 1.0)
    assert policy.workers["scorer"].phase == "failed"
    assert policy.workers["scorer"].restarts == 0
    assert policy.workers["scorer"].reason == "cannot work as configured; its log says why"
    assert policy.decide(1.0) == [Terminate("ingest:a"), Terminate("ingest:b")]
