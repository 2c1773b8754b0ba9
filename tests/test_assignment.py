"""Which node gets which camera: stable, balanced, within zones, GPUs and capacities."""

from hypothesis import given
from hypothesis import strategies as st

from pipeline.nodes.assignment import Assignment, CameraDemand, Node, assign

NODES = [Node("a", 4), Node("b", 4), Node("c", 4)]
CAMERAS = [CameraDemand(f"camera{number}") for number in range(6)]


def cameras_of(assignment: Assignment, node: str) -> set[str]:
    return {camera for camera, owner in assignment.node_of.items() if owner == node}


def test_cameras_are_spread() -> None:
    spread = assign(CAMERAS, NODES, {})
    assert [len(cameras_of(spread, node.name)) for node in NODES] == [2, 2, 2]
    assert not spread.unplaced


def test_a_larger_node_gets_more() -> None:
    spread = assign(CAMERAS, [Node("small", 4), Node("large", 8)], {})
    assert len(cameras_of(spread, "large")) == 4


def test_only_cameras_of_a_lost_node_move() -> None:
    before = assign(CAMERAS, NODES, {}).node_of
    after = assign(CAMERAS, NODES[1:], before).node_of
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} == {
        name for name, node in before.items() if node == "a"
    }


def test_a_node_that_comes_back_takes_nothing_from_others() -> None:
    before = assign(CAMERAS, NODES[1:], {}).node_of
    assert assign(CAMERAS, NODES, before).node_of == before


def test_what_has_no_room_is_said() -> None:
    crowded = assign(CAMERAS, [Node("a", 4)], {})
    assert len(crowded.node_of) == 4
    assert set(crowded.unplaced.values()) == {"no node has room for a load of 1"}
    assert set(assign(CAMERAS, [], {}).unplaced.values()) == {"no node is alive"}


def test_zones_and_gpus_are_kept() -> None:
    nodes = [Node("a", 4, zone="yard"), Node("b", 4, zone="hall", has_gpu=True)]
    cameras = [
        CameraDemand("gate", zone="yard"),
        CameraDemand("crowd", needs_gpu=True),
        CameraDemand("dock", zone="port"),
        CameraDemand("fence", zone="yard", needs_gpu=True),
    ]
    placed = assign(cameras, nodes, {"gate": "b", "crowd": "a"})
    assert placed.node_of == {"gate": "a", "crowd": "b"}
    assert placed.unplaced == {
        "dock": "no node of zone 'port'",
        "fence": "no node with a GPU",
    }


nodes = st.lists(
    st.builds(
        Node,
        st.sampled_from("abcdef"),
        st.floats(0.5, 10),
        st.sampled_from(["", "yard"]),
        st.booleans(),
    ),
    unique_by=lambda node: node.name,
)
cameras = st.lists(
    st.builds(
        CameraDemand,
        st.sampled_from([f"camera{number}" for number in range(12)]),
        st.floats(0, 5),
        st.sampled_from([None, "yard"]),
        st.booleans(),
    ),
    unique_by=lambda camera: camera.name,
)


@given(cameras, nodes, st.data())
def test_placements_hold_for_any_fleet(
    wanted: list[CameraDemand], alive: list[Node], data: st.DataObject
) -> None:
    names = [camera.name for camera in wanted] or ["camera0"]
    current = data.draw(st.dictionaries(st.sampled_from(names), st.sampled_from("abcdefgh")))
    result = assign(wanted, alive, current)
    assert result.node_of.keys() | result.unplaced.keys() == {one.name for one in wanted}
    assert not result.node_of.keys() & result.unplaced.keys()
    assert assign(wanted[::-1], alive[::-1], current) == result
    for node in alive:
        held = [one for one in wanted if result.node_of.get(one.name) == node.name]
        assert sum(one.load for one in held) <= node.capacity * (1 + 1e-9)
        assert all(one.zone in (None, node.zone) for one in held)
        assert node.has_gpu or not any(one.needs_gpu for one in held)
    again = assign(wanted, alive, result.node_of)
    assert result.node_of.items() <= again.node_of.items(), "nothing moves without a reason"
