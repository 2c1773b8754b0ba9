"""Leases in a real PostgreSQL: one owner a camera, taken over in time, and no late writes."""

import threading
import time
from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from postgresql_server import PostgresqlServer

from pipeline.nodes.assignment import CameraDemand, Node
from pipeline.nodes.lease_store import FencedError, Lease, LeaseStore, require

CAMERAS = [CameraDemand(f"camera{number:02}") for number in range(12)]
NODES = [Node(name, 12) for name in ("a", "b", "c")]
LONG, SHORT = 60.0, 0.3


@pytest.fixture
def engine(server: PostgresqlServer) -> Iterator[sa.Engine]:
    url = sa.make_url(server.fresh_url()).set(drivername="postgresql+psycopg")
    made = sa.create_engine(url)
    yield made
    made.dispose()


def store(engine: sa.Engine, seconds: float = LONG) -> LeaseStore:
    made = LeaseStore(engine, seconds)
    made.create()
    return made


def held(leases: LeaseStore, node: Node) -> dict[str, Lease]:
    return leases.renew(node, time.monotonic())


def test_every_camera_has_one_node(engine: sa.Engine) -> None:
    leases = store(engine)
    assert all(held(leases, node) == {} for node in NODES)
    placed = leases.run_round(CAMERAS)
    owned = {node.name: held(leases, node) for node in NODES}
    assert [len(of_node) for of_node in owned.values()] == [4, 4, 4]
    for camera, node in placed.node_of.items():
        assert camera in owned[node]
    assert leases.run_round(CAMERAS) == placed, "a further round changes nothing"
    assert held(leases, NODES[0]).keys() == owned["a"].keys()


def test_cameras_of_a_dead_node_are_taken_over_and_the_others_stay(engine: sa.Engine) -> None:
    leases = store(engine, SHORT)
    for node in NODES:
        held(leases, node)
    before = leases.run_round(CAMERAS).node_of
    died = time.monotonic()
    old = held(leases, NODES[0])
    while "a" in (after := leases.run_round(CAMERAS).node_of).values():
        for node in NODES[1:]:
            held(leases, node)
        assert time.monotonic() < died + 20
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == old.keys()
    taken = {**held(leases, NODES[1]), **held(leases, NODES[2])}
    assert all(taken[camera].fence > lease.fence for camera, lease in old.items())
    assert not any(lease.held(time.monotonic()) for lease in old.values())
    assert held(leases, NODES[0]) == {}, "what was stopped for a while has lost its cameras"


def test_a_late_owner_can_store_nothing(engine: sa.Engine) -> None:
    leases = store(engine, SHORT)
    held(leases, NODES[0])
    leases.run_round(CAMERAS[:1])
    (old,) = held(leases, NODES[0]).values()
    with engine.begin() as connection:
        require(connection, old)
    deadline = time.monotonic() + 20
    while leases.run_round(CAMERAS[:1]).node_of.get("camera00") != "b":
        held(leases, NODES[1])
        assert time.monotonic() < deadline
    (new,) = held(leases, NODES[1]).values()
    with engine.begin() as connection:
        require(connection, new)
    message = f"camera00: got the fencing number {old.fence}, want {new.fence}"
    with pytest.raises(FencedError, match=message), engine.begin() as connection:
        require(connection, old)


def test_a_takeover_waits_for_scores_that_are_being_stored(engine: sa.Engine) -> None:
    leases = store(engine)
    held(leases, NODES[0])
    leases.run_round(CAMERAS[:1])
    (lease,) = held(leases, NODES[0]).values()
    over = threading.Event()

    def remove() -> None:
        leases.run_round([])
        over.set()

    taker = threading.Thread(target=remove)
    with engine.begin() as connection:
        require(connection, lease)
        taker.start()
        assert not over.wait(0.3)
    taker.join(20)
    assert over.is_set()
    with pytest.raises(FencedError), engine.begin() as connection:
        require(connection, lease)


def test_a_removed_camera_comes_back_with_a_larger_number(engine: sa.Engine) -> None:
    leases = store(engine)
    held(leases, NODES[0])
    leases.run_round(CAMERAS[:1])
    (first,) = held(leases, NODES[0]).values()
    leases.run_round([])
    assert held(leases, NODES[0]) == {}
    leases.run_round(CAMERAS[:1])
    (second,) = held(leases, NODES[0]).values()
    assert second.fence > first.fence


def test_rounds_of_all_nodes_at_once_give_one_owner(engine: sa.Engine) -> None:
    leases = store(engine)
    for node in NODES:
        held(leases, node)
    failures: list[BaseException] = []

    def rounds(node: Node) -> None:
        try:
            for _ in range(5):
                leases.run_round(CAMERAS)
                held(leases, node)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=rounds, args=(node,)) for node in NODES]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    owned = [camera for node in NODES for camera in held(leases, node)]
    assert sorted(owned) == [camera.name for camera in CAMERAS]
    fences = {lease.fence for node in NODES for lease in held(leases, node).values()}
    assert fences == {1}, "no camera changed its owner"


def test_a_lease_ends_on_the_node_by_its_own_clock() -> None:
    lease = Lease("gate", 1, asked_at=100.0, seconds=3.0)
    assert lease.held(102.9)
    assert not lease.held(103.0)
