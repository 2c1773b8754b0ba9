"""Which node scores which camera: a pure function of what is known now.

A camera stays where it is as long as its node is alive and may have it, since a move costs a
reconnection. What has no node goes to the node with the smallest load relative to its capacity.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Node:
    """A machine that scores cameras."""

    name: str
    capacity: float
    """Load that it can score; above 0, in the unit of `CameraDemand.load`."""
    zone: str = ""
    """Network or site from which it reaches cameras."""
    has_gpu: bool = False


@dataclass(frozen=True, slots=True)
class CameraDemand:
    """What a camera wants of its node."""

    name: str
    load: float = 1.0
    """Cost of scoring it; 0 or more. 1: a camera at 10 frames per second."""
    zone: str | None = None
    """Zone whose nodes reach it; None: any."""
    needs_gpu: bool = False


@dataclass(frozen=True, slots=True)
class Assignment:
    """The result of `assign`."""

    node_of: dict[str, str] = field(default_factory=dict)
    """Camera → node."""
    unplaced: dict[str, str] = field(default_factory=dict)
    """Camera that no node can have → why, for people."""


def assign(
    cameras: Iterable[CameraDemand], nodes: Iterable[Node], current: Mapping[str, str]
) -> Assignment:
    """Place every camera for which a node has room.

    Args:
        cameras: All cameras that are to be scored.
        nodes: The nodes that are alive.
        current: Camera → node of now; nodes may be gone, and cameras removed.

    Returns:
        Placements, the same for the same arguments in any order. No node gets more than its
        capacity.
    """
    alive = {node.name: node for node in nodes}
    load = dict.fromkeys(alive, 0.0)
    result = Assignment()
    homeless: list[CameraDemand] = []
    ordered = sorted(cameras, key=lambda camera: (-camera.load, camera.name))
    for camera in ordered:
        node = alive.get(current.get(camera.name, ""))
        if node is not None and _why_not(camera, node, load) is None:
            result.node_of[camera.name] = node.name
            load[node.name] += camera.load
        else:
            homeless.append(camera)
    for camera in homeless:
        possible = [node for node in alive.values() if _why_not(camera, node, load) is None]
        if not possible:
            result.unplaced[camera.name] = _reason(camera, alive.values(), load)
            continue
        chosen = min(
            possible, key=lambda node: ((load[node.name] + camera.load) / node.capacity, node.name)
        )
        result.node_of[camera.name] = chosen.name
        load[chosen.name] += camera.load
    return result


_REASONS = (
    "no node of zone {zone!r}",
    "no node with a GPU",
    "no node has room for a load of {load:g}",
)


def _why_not(camera: CameraDemand, node: Node, load: Mapping[str, float]) -> int | None:
    """Index into `_REASONS` of the first obstacle; None: the node can have the camera."""
    if camera.zone is not None and camera.zone != node.zone:
        return 0
    if camera.needs_gpu and not node.has_gpu:
        return 1
    return 2 if load[node.name] + camera.load > node.capacity else None


def _reason(camera: CameraDemand, nodes: Iterable[Node], load: Mapping[str, float]) -> str:
    obstacles = [why for node in nodes if (why := _why_not(camera, node, load)) is not None]
    if not obstacles:
        return "no node is alive"
    # The nearest to a placement says what is missing.
    return _REASONS[max(obstacles)].format(zone=camera.zone, load=camera.load)
