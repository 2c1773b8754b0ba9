"""The database behind the store: SQLite in a file, or PostgreSQL at a URL.

All differences between the two are here and in `schema.py`. There is one writer, the alert sink:
for SQLite by convention, and the kernel's lock on the data folder; for PostgreSQL by an advisory
lock of the database that is held as long as the writer's connection.
"""

import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pipeline.storage.file_systems import DOUBTFUL, NETWORK, file_system_of
from pipeline.storage.schema import MIGRATIONS, NewerSchemaError, migrate, schema_version
from pipeline.storage.store_errors import StoreError, store_error

LOG = logging.getLogger(__name__)

SQLITE_NAME = "events.sqlite"
_WAL_LIMIT_BYTES = 16 * 2**20
_CONNECT_SECONDS = 5
# A pooler may run each transaction in another session, where a prepared statement does not exist,
# or belongs to another client.
_CONNECT = {"connect_timeout": _CONNECT_SECONDS, "prepare_threshold": None}
_POSTGRESQL_SESSION = (
    "SET statement_timeout = '20s'",
    # A writer on a lost machine must not lock out its successor for hours.
    "SET tcp_keepalives_idle = 20",
    "SET tcp_keepalives_interval = 5",
    "SET tcp_keepalives_count = 3",
)
_ONE_WRITER = (
    "SET lock_timeout = '5s'",
    "SELECT pg_advisory_lock(86, hashtext(current_schema()))",
)


def store_url(url: str | None, data_folder: Path) -> sa.URL:
    """URL of the store.

    Args:
        url: As configured: "postgresql://…" or "sqlite:///…"; None: a file in the data folder.
        data_folder: Data folder of the run.
    """
    if url is None:
        return sa.URL.create("sqlite", database=str(data_folder / SQLITE_NAME))
    return sa.make_url(url)


class Database:
    """One database, opened for writing or only for reading."""

    def __init__(self, url: sa.URL, *, read_only: bool = False) -> None:
        """Prepare; nothing is opened yet.

        Args:
            url: SQLite or PostgreSQL.
            read_only: Any number of processes may read while one writes.
        """
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._url = url
        self._read_only = read_only
        where = url.database if self.is_sqlite else url.render_as_string(hide_password=True)
        self._where = f"event store {where}"
        self._engine = _sqlite(url, read_only) if self.is_sqlite else _postgresql(url, read_only)

    def open(self) -> None:
        """Migrate to the newest schema, or, for reading, check that it has the newest schema.

        Raises:
            StoreUnreachableError: the server does not answer.
            StoreDamagedError: the file is not a database, or is damaged.
            StoreError: it cannot be used, has another version, or is on a network file system.
        """
        try:
            if self.is_sqlite:
                self._check_file()
            if self._read_only:
                self._check_schema()
            else:
                if not self.is_sqlite:
                    self._check_session()
                with self._engine.begin() as connection:
                    migrate(connection)
        except NewerSchemaError as error:
            self.close()
            raise StoreError(f"{self._where}: {error}") from None
        except (OSError, sa.exc.DBAPIError) as error:
            self.close()
            raise self._error("cannot be opened", error) from error
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections; safe to call twice."""
        self._engine.dispose()

    @contextmanager
    def begin(self) -> Iterator[sa.Connection]:
        """A transaction: committed as a whole, or rolled back.

        Raises:
            StoreError: it cannot be written, such as on a full disk.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except sa.exc.DBAPIError as error:
            raise self._error("cannot be written", error) from error

    def read(self, query: sa.Select[Any]) -> list[dict[str, Any]]:
        """Rows of a query.

        Raises:
            StoreError: they cannot be read.
        """
        try:
            with self._engine.connect() as connection:
                return [dict(row) for row in connection.execute(query).mappings()]
        except sa.exc.DBAPIError as error:
            raise self._error("cannot be read", error) from error

    def reclaim_space(self, max_pages: int) -> None:
        """Return pages that deletions left empty to the file system; PostgreSQL does so itself.

        Raises:
            StoreError: it cannot be written.
        """
        if self.is_sqlite:
            with self.begin() as connection:
                # As a script: each step frees one page, and an ordinary call runs only one step.
                driver = connection.connection.driver_connection
                assert isinstance(driver, sqlite3.Connection)
                driver.executescript(f"PRAGMA incremental_vacuum({max_pages})")

    def _check_session(self) -> None:
        """Check that a connection is a session: the writer's lock is held as long as its session.

        A pooler in transaction mode gives the same session to one connection after another, so that
        two connections that are open at the same time get the same one.
        """
        engine = sa.create_engine(self._engine.url, poolclass=sa.NullPool, connect_args=_CONNECT)
        session = sa.text("SELECT pg_backend_pid()")
        with engine.connect() as one, engine.connect() as other:
            first = one.execute(session).scalar_one()
            one.rollback()
            second = other.execute(session).scalar_one()
            again = one.execute(session).scalar_one()
        if first == second or first != again:
            raise StoreError(
                f"{self._where}: got a connection pooler that assigns sessions for one transaction "
                "at a time (such as PgBouncer with pool_mode = transaction); want session pooling "
                "(pool_mode = session), or the address of the server itself in store.url"
            )

    def _check_file(self) -> None:
        path = Path(self._url.database or "")
        kind = file_system_of(path)
        if kind in NETWORK:
            raise StoreError(
                f"{self._where}: got a network file system ({kind}), on which SQLite's "
                "write-ahead log does not work; want a folder on a local disk, or store.url"
            )
        if kind is not None and kind.split(".")[0] in DOUBTFUL:
            LOG.warning("%s: on a shared folder (%s), which may lose data", self._where, kind)
        if not self._read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        elif not path.exists():
            raise StoreError(f"{self._where}: no such file; the first run creates it")

    def _check_schema(self) -> None:
        with self._engine.connect() as connection:
            version = schema_version(connection)
        if version != len(MIGRATIONS):
            raise StoreError(
                f"{self._where}: want schema version {len(MIGRATIONS)}, got {version}; "
                "the alert sink of the same Vedette version migrates it"
            )

    def _error(self, what: str, error: Exception) -> StoreError:
        return store_error(f"{self._where}: {what}", self._url, error)


def upsert(
    connection: sa.Connection,
    table: sa.Table,
    rows: Iterable[Mapping[str, Any]],
    merged: Mapping[str, Any] | None = None,
) -> None:
    """Insert rows, or update the rows of the same key.

    Args:
        connection: In a transaction.
        table: With a primary key.
        rows: All with the same columns; other columns of an existing row are unchanged.
        merged: Column → function of (old, new) columns that gives the value to write over an
            existing row; None: the new values.
    """
    values = [dict(row) for row in rows]
    if not values:
        return
    on_sqlite = connection.dialect.name == "sqlite"
    statement = sqlite.insert(table) if on_sqlite else postgresql.insert(table)
    keys = [column.name for column in table.primary_key.columns]
    new = statement.excluded
    updates = {
        name: merged[name](table.c[name], new[name]) if merged and name in merged else new[name]
        for name in values[0]
        if name not in keys
    }
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=updates), values)


def _sqlite(url: sa.URL, read_only: bool) -> sa.Engine:
    def prepare(connection: sqlite3.Connection, _record: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA busy_timeout=5000")
        if read_only:
            cursor.execute("PRAGMA query_only=ON")
        else:
            if cursor.execute("PRAGMA page_count").fetchone() == (0,):
                # Effective in a new file only; in an existing one it writes, on a disk that may
                # be full.
                cursor.execute("PRAGMA auto_vacuum=INCREMENTAL")
            cursor.execute("PRAGMA journal_mode=WAL")
            # Survives a crash of the process; after a power cut the newest events are recreated
            # from the score log.
            cursor.execute("PRAGMA synchronous=NORMAL")
            cursor.execute(f"PRAGMA journal_size_limit={_WAL_LIMIT_BYTES}")
        cursor.close()

    engine = sa.create_engine(url)
    sa.event.listen(engine, "connect", prepare)
    return engine


def _postgresql(url: sa.URL, read_only: bool) -> sa.Engine:
    def prepare(connection: Any, _record: object) -> None:
        statements = _POSTGRESQL_SESSION if read_only else (*_POSTGRESQL_SESSION, *_ONE_WRITER)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
            connection.commit()
        except BaseException:
            connection.close()
            raise

    try:
        engine = sa.create_engine(
            url.set(drivername="postgresql+psycopg"),
            connect_args=_CONNECT,
            pool_pre_ping=True,
            # One connection for the writer: it holds the lock.
            **({} if read_only else {"pool_size": 1, "max_overflow": 0}),
        )
    except ImportError:
        raise StoreError(
            "event store: PostgreSQL wants the package psycopg, got none; "
            "install vedette[postgresql]"
        ) from None
    sa.event.listen(engine, "connect", prepare)
    return engine
