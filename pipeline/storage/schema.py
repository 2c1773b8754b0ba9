"""The tables of the store, and the migrations from each version of the schema to the next.

The statements are written for SQLite. Some of their type names have another meaning in PostgreSQL,
and are replaced for it; everything else is common to both.
"""

import json
import re
from dataclasses import fields

import sqlalchemy as sa

from pipeline.events.event import Event

MAX_NOTE_CHARACTERS = 2000
"""Maximum number of characters of a note."""

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE events (
            id TEXT PRIMARY KEY,
            camera TEXT NOT NULL,
            connection INTEGER NOT NULL,
            first_index INTEGER NOT NULL,
            started_at REAL NOT NULL,
            started_pts_seconds REAL NOT NULL,
            ended_at REAL,
            duration_seconds REAL NOT NULL,
            peak_score REAL NOT NULL,
            peak_at REAL NOT NULL,
            peak_connection INTEGER NOT NULL,
            peak_index INTEGER NOT NULL,
            state TEXT NOT NULL,
            suppressed BOOLEAN NOT NULL,
            frames INTEGER NOT NULL
        )""",
        "CREATE INDEX events_by_time ON events (camera, started_at)",
        "CREATE TABLE trackers (camera TEXT PRIMARY KEY, state TEXT NOT NULL)",
    ),
    (
        "ALTER TABLE events ADD COLUMN acknowledged_at REAL",
        "ALTER TABLE events ADD COLUMN label TEXT CHECK (label IN ('normal', 'anomaly'))",
        f"ALTER TABLE events ADD COLUMN note TEXT CHECK (length(note) <= {MAX_NOTE_CHARACTERS})",
        "ALTER TABLE events ADD COLUMN has_clip BOOLEAN NOT NULL DEFAULT FALSE",
        "CREATE INDEX events_by_start ON events (started_at, id)",
        """CREATE TABLE score_history (
            camera TEXT NOT NULL,
            resolution_seconds INTEGER NOT NULL,
            begins_at INTEGER NOT NULL,
            highest REAL,
            total REAL NOT NULL,
            scored INTEGER NOT NULL,
            frames INTEGER NOT NULL,
            threshold REAL,
            state TEXT NOT NULL,
            PRIMARY KEY (camera, resolution_seconds, begins_at)
        ) WITHOUT ROWID""",
    ),
    (
        "ALTER TABLE events ADD COLUMN zones TEXT NOT NULL DEFAULT '[]'",
        """ALTER TABLE events ADD COLUMN suppressed_by TEXT
            CHECK (suppressed_by IN ('cooldown', 'schedule'))""",
        "UPDATE events SET suppressed_by = 'cooldown' WHERE suppressed",
    ),
    (
        # SQLite cannot change a CHECK: the column is created again.
        "ALTER TABLE events RENAME COLUMN suppressed_by TO suppressed_by_3",
        """ALTER TABLE events ADD COLUMN suppressed_by TEXT
            CHECK (suppressed_by IN ('cooldown', 'schedule', 'calibrating'))""",
        "UPDATE events SET suppressed_by = suppressed_by_3",
        "ALTER TABLE events DROP COLUMN suppressed_by_3",
        "ALTER TABLE events ADD COLUMN terms TEXT NOT NULL DEFAULT '{}'",
    ),
)
"""Statements from each version of the schema to the next; append-only."""

# These types have 64 bits in SQLite; in PostgreSQL they would have 32.
_POSTGRESQL_WORDS = {"REAL": "DOUBLE PRECISION", "INTEGER": "BIGINT", " WITHOUT ROWID": ""}
_WORDS = re.compile(r"\bREAL\b|\bINTEGER\b| WITHOUT ROWID\b")


class Names(sa.types.TypeDecorator[tuple[str, ...]]):
    """Names, stored as the text of a JSON array in both databases."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: tuple[str, ...] | None, dialect: sa.Dialect) -> str | None:
        """Names to text."""
        return None if value is None else json.dumps(value)

    def process_result_value(
        self, value: str | None, dialect: sa.Dialect
    ) -> tuple[str, ...] | None:
        """Text to names."""
        return None if value is None else tuple(json.loads(value))


class Numbers(sa.types.TypeDecorator[dict[str, float]]):
    """Numbers by name, stored as the text of a JSON object in both databases."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: dict[str, float] | None, dialect: sa.Dialect) -> str | None:
        """Numbers to text."""
        return None if value is None else json.dumps(dict(value))

    def process_result_value(
        self, value: str | None, dialect: sa.Dialect
    ) -> dict[str, float] | None:
        """Text to numbers."""
        return None if value is None else dict(json.loads(value))


_TYPED = ("id", "suppressed", "zones", "terms")
_TABLES = sa.MetaData()
EVENTS = sa.Table(
    "events",
    _TABLES,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("suppressed", sa.Boolean),
    sa.Column("zones", Names),
    sa.Column("terms", Numbers),
    *(sa.Column(f.name) for f in fields(Event) if f.name not in _TYPED),
    sa.Column("acknowledged_at", sa.Double),
    sa.Column("label", sa.Text),
    sa.Column("note", sa.Text),
    sa.Column("has_clip", sa.Boolean),
)
TRACKERS = sa.Table(
    "trackers",
    _TABLES,
    sa.Column("camera", sa.Text, primary_key=True),
    sa.Column("state", sa.Text),
)
SCORE_HISTORY = sa.Table(
    "score_history",
    _TABLES,
    sa.Column("camera", sa.Text, primary_key=True),
    sa.Column("resolution_seconds", sa.BigInteger, primary_key=True),
    sa.Column("begins_at", sa.BigInteger, primary_key=True),
    sa.Column("highest", sa.Double),
    sa.Column("total", sa.Double),
    sa.Column("scored", sa.BigInteger),
    sa.Column("frames", sa.BigInteger),
    sa.Column("threshold", sa.Double),
    sa.Column("state", sa.Text),
)


class NewerSchemaError(Exception):
    """The tables have a newer version than this program supports."""


def schema_version(connection: sa.Connection) -> int:
    """Schema version of a database; 0: it has no tables."""
    if connection.dialect.name == "sqlite":
        return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if not sa.inspect(connection).has_table("schema_version"):
        return 0
    return int(connection.exec_driver_sql("SELECT version FROM schema_version").scalar_one())


def migrate(connection: sa.Connection) -> None:
    """Migrate a database to the newest schema, in one transaction.

    Args:
        connection: In a transaction; on PostgreSQL the only writer.

    Raises:
        NewerSchemaError: it has a newer version.
        sa.exc.DBAPIError: a statement failed.
    """
    on_sqlite = connection.dialect.name == "sqlite"
    if on_sqlite:
        # Python's sqlite3 does not begin a transaction before statements on the schema.
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    version = schema_version(connection)
    check_version(version)
    for statement in (s for statements in MIGRATIONS[version:] for s in statements):
        connection.exec_driver_sql(statement if on_sqlite else for_postgresql(statement))
    if version < len(MIGRATIONS):
        _set_version(connection, len(MIGRATIONS))


def check_version(version: int) -> None:
    """Reject a schema that is newer than this program.

    Raises:
        NewerSchemaError: the version is newer.
    """
    if version > len(MIGRATIONS):
        raise NewerSchemaError(
            f"want schema version {len(MIGRATIONS)} or older, got {version}; "
            "it was written by a newer version of Vedette"
        )


def for_postgresql(statement: str) -> str:
    """A statement of the migrations with the types of PostgreSQL."""
    return _WORDS.sub(lambda found: _POSTGRESQL_WORDS[found[0]], statement)


def _set_version(connection: sa.Connection, version: int) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql(f"PRAGMA user_version={version}")
        return
    connection.exec_driver_sql(
        "CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)"
    )
    connection.exec_driver_sql("DELETE FROM schema_version")
    connection.exec_driver_sql(f"INSERT INTO schema_version VALUES ({version})")
