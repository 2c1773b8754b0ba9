"""Leases of cameras in PostgreSQL: one node at a time, until it is late, then another.

The clock of all leases is that of the database server: clocks of machines differ. A node renews its
leases within their duration, and stops scoring a camera that it could not renew (`Lease.held`).
Should it be stopped meanwhile and write late, the fencing number of its lease is older than that of
the new owner, and `require` refuses the transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from pipeline.nodes.assignment import Assignment, CameraDemand, Node, assign

LEASE_SECONDS = 3.0
"""A camera of a node that died is without one for so long at most, plus a round."""

_METADATA = sa.MetaData()
_NODES = sa.Table(
    "nodes",
    _METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("capacity", sa.Float, nullable=False),
    sa.Column("zone", sa.Text, nullable=False),
    sa.Column("has_gpu", sa.Boolean, nullable=False),
    sa.Column("alive_until", sa.DateTime(timezone=True), nullable=False),
)
_LEASES = sa.Table(
    "camera_leases",
    _METADATA,
    sa.Column("camera", sa.Text, primary_key=True),
    sa.Column("node", sa.Text, nullable=False),
    # Grows with each new owner, also after the camera was removed for a while.
    sa.Column("fence", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
)
_ROUND = sa.text("SELECT pg_advisory_xact_lock(87, hashtext(current_schema()))")
_BESIDE_ROUNDS = sa.text("SELECT pg_advisory_xact_lock_shared(87, hashtext(current_schema()))")
"""A round sees every renewal as a whole; renewals do not wait for each other."""
_NOW = sa.func.clock_timestamp()


class FencedError(Exception):
    """The lease belongs to another node by now: nothing of this transaction may be stored."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of a node to score a camera."""

    camera: str
    fence: int
    """Fencing number: larger than that of every earlier owner of the camera."""
    asked_at: float
    """Monotonic clock of the node when it asked for it, seconds."""
    seconds: float
    """How long it is valid from then."""

    def held(self, now: float) -> bool:
        """Whether it is still valid by the node's own monotonic clock.

        It ends here before it ends at the server, since the request was sent before it arrived.
        """
        return now < self.asked_at + self.seconds


class LeaseStore:
    """The tables `nodes` and `camera_leases` of a database; used by every node."""

    def __init__(self, engine: sa.Engine, seconds: float = LEASE_SECONDS) -> None:
        """Use a database.

        Args:
            engine: PostgreSQL.
            seconds: Duration of leases and of a sign of life; the same for all nodes.
        """
        self._engine = engine
        self._seconds = seconds

    def create(self) -> None:
        """Create the tables where they are not there yet."""
        with self._engine.begin() as connection:
            connection.execute(_ROUND)
            _METADATA.create_all(connection)

    def renew(self, node: Node, now: float) -> dict[str, Lease]:
        """Give a sign of life, and renew the leases of this node.

        Args:
            node: As it is now: its capacity may change.
            now: Its monotonic clock, taken before the call.

        Returns:
            Its leases by camera; those that another node took are no longer among them.
        """
        values = {
            "name": node.name,
            "capacity": node.capacity,
            "zone": node.zone,
            "has_gpu": node.has_gpu,
            "alive_until": self._end(),
        }
        sign = postgresql.insert(_NODES).values(values)
        sign = sign.on_conflict_do_update(index_elements=["name"], set_=values)
        renewal = (
            sa.update(_LEASES)
            .where(_LEASES.c.node == node.name)
            .values(expires_at=self._end())
            .returning(_LEASES.c.camera, _LEASES.c.fence)
        )
        with self._engine.begin() as connection:
            connection.execute(_BESIDE_ROUNDS)
            connection.execute(sign)
            rows = connection.execute(renewal).all()
        return {camera: Lease(camera, fence, now, self._seconds) for camera, fence in rows}

    def run_round(self, cameras: Sequence[CameraDemand]) -> Assignment:
        """Give cameras without a living node to others; any node may call it at any time.

        Args:
            cameras: All cameras that are to be scored; leases of others end.

        Returns:
            Where every camera is now, and why some are nowhere.
        """
        with self._engine.begin() as connection:
            connection.execute(_ROUND)
            alive = sa.select(_NODES).where(_NODES.c.alive_until > _NOW)
            nodes = [
                Node(row.name, row.capacity, row.zone, row.has_gpu)
                for row in connection.execute(alive)
            ]
            valid = sa.select(_LEASES).where(_LEASES.c.expires_at > _NOW)
            current = {row.camera: row.node for row in connection.execute(valid)}
            result = assign(cameras, nodes, current)
            for camera, node in result.node_of.items():
                if current.get(camera) != node:
                    connection.execute(self._grant(camera, node))
            over = current.keys() - result.node_of.keys()
            if over:
                ended = sa.update(_LEASES).where(_LEASES.c.camera.in_(over))
                connection.execute(
                    ended.values(node="", fence=_LEASES.c.fence + 1, expires_at=_NOW)
                )
        return result

    def _end(self) -> sa.ColumnElement[object]:
        return _NOW + sa.func.make_interval(0, 0, 0, 0, 0, 0, self._seconds)

    def _grant(self, camera: str, node: str) -> sa.Executable:
        grant = postgresql.insert(_LEASES).values(
            camera=camera, node=node, fence=1, expires_at=self._end()
        )
        return grant.on_conflict_do_update(
            index_elements=["camera"],
            set_={"node": node, "fence": _LEASES.c.fence + 1, "expires_at": self._end()},
        )


def require(connection: sa.Connection, lease: Lease) -> None:
    """Check, in the transaction that stores scores, that the lease is that of the newest owner.

    The row stays locked against a new owner until the transaction ends.

    Raises:
        FencedError: another node has the camera.
    """
    query = sa.select(_LEASES.c.fence).where(_LEASES.c.camera == lease.camera)
    newest = connection.execute(query.with_for_update(read=True)).scalar_one_or_none()
    if newest != lease.fence:
        raise FencedError(
            f"camera {lease.camera}: got the fencing number {lease.fence}, want {newest}: "
            "another node has taken the camera over"
        )
