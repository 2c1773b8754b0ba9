"""A PostgreSQL server of the tests' own: in a temporary folder, behind a Unix socket."""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

PASSWORD = "pl4nted-s3cret"


def binaries() -> Path | None:
    """Folder of Debian's newest `initdb` and `postgres`, or of those on the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    on_path = shutil.which("initdb")
    if found:
        return found[-1].parent
    return Path(on_path).resolve().parent if on_path else None


class PostgresqlServer:
    """A running cluster; every caller of `fresh_url` gets a schema of its own."""

    def __init__(self, folder: Path, programs: Path, user: str | None) -> None:
        self._folder = folder
        self._programs = programs
        self._user = user
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make the cluster."""
        password = self._folder / "password"
        password.write_text(PASSWORD)
        command = [self._programs / "initdb", "-D", self._folder / "data", "-U", "vedette"]
        command += ["-A", "scram-sha-256", f"--pwfile={password}", "--no-sync", "-E", "UTF8"]
        if self._user is not None:
            for path in (self._folder, password):
                shutil.chown(path, self._user)
        done = subprocess.run(
            command, user=self._user, capture_output=True, check=False, cwd=self._folder
        )
        assert done.returncode == 0, done.stderr.decode()

    def start(self) -> None:
        """Serve, and wait until it answers."""
        settings = ["listen_addresses=", "fsync=off", "shared_buffers=16MB", "max_connections=20"]
        command = [self._programs / "postgres", "-D", self._folder / "data", "-k", self._folder]
        for setting in settings:
            command += ["-c", setting]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, user=self._user, stdout=log, stderr=log, cwd=self._folder
            )
        deadline = time.monotonic() + 30
        while not self._answers():
            assert time.monotonic() < deadline, (self._folder / "log").read_text()
            time.sleep(0.05)

    def _answers(self) -> bool:
        engine = sa.create_engine(self.url)
        try:
            with engine.connect():
                return True
        except sa.exc.OperationalError:
            return False
        finally:
            engine.dispose()

    def stop(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait(20)
            self._process = None

    @property
    def url(self) -> sa.URL:
        """Of the cluster's database, with the password."""
        return sa.URL.create(
            "postgresql+psycopg",
            "vedette",
            PASSWORD,
            database="postgres",
            query={"host": str(self._folder)},
        )

    def fresh_url(self) -> str:
        """Of an empty schema, as it would stand in a configuration."""
        name = f"test_{secrets.token_hex(4)}"
        engine = sa.create_engine(self.url)
        with engine.begin() as connection:
            connection.exec_driver_sql(f"CREATE SCHEMA {name}")
        engine.dispose()
        url = self.url.set(drivername="postgresql")
        url = url.update_query_dict({"options": f"-csearch_path={name}"})
        return url.render_as_string(hide_password=False)


@contextmanager
def postgresql_server(programs: Path) -> Iterator[PostgresqlServer]:
    """Run a server, as the account `nobody` where the tests run as root, which it refuses."""
    user = pwd.getpwnam("nobody").pw_name if os.getuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="vedette-pg-") as folder:
        server = PostgresqlServer(Path(folder), programs, user)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()


@contextmanager
def pooler(server: PostgresqlServer, program: Path, mode: str, port: int) -> Iterator[str]:
    """PgBouncer before a server, on a loopback port; what would stand in a configuration."""
    with tempfile.TemporaryDirectory(prefix="vedette-pool-") as name:
        folder = Path(name)
        users, settings = folder / "users", folder / "pgbouncer.ini"
        users.write_text(f'"vedette" "{PASSWORD}"\n')
        settings.write_text(
            f"""[databases]
postgres = host={server.url.query["host"]} dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = scram-sha-256
auth_file = {users}
pool_mode = {mode}
ignore_startup_parameters = options
unix_socket_dir =
"""
        )
        user = pwd.getpwnam("nobody").pw_name if os.getuid() == 0 else None
        if user is not None:
            for path in (folder, users, settings):
                shutil.chown(path, user)
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [program, settings], user=user, stdout=log, stderr=log, cwd=folder
            )
        try:
            deadline = time.monotonic() + 20
            while True:
                with socket.socket() as sock:
                    if sock.connect_ex(("127.0.0.1", port)) == 0:
                        break
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.02)
            yield f"postgresql://vedette:{PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            process.terminate()
            process.wait(20)
