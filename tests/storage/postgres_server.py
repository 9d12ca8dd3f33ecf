"""A PostgreSQL server of our own: started for a test session, reached by a Unix socket only, gone with the session."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psycopg

from tests.mortal import Mortal

SETTINGS = {
    "listen_addresses": "",
    "shared_buffers": "32MB",
    "max_connections": "50",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "autovacuum": "off",
    "fsync": "on",  # the storage refuses a server without it
    "log_min_messages": "fatal",
}
_ALONE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


class PrivateServer:
    """A running server. Its directory is readable by its user alone, so it trusts whoever reaches the socket."""

    def __init__(self, directory: Path, user: str, command: list[str], port: int = 5432) -> None:
        self._directory = directory
        self._user = user
        self.port = port
        self.mortal = Mortal(command, cwd=directory, log=directory / "log", answers=self._answers)
        self._numbers = count(1)
        self._free: list[str] = []

    @property
    def data(self) -> Path:
        """Where the server keeps everything, its log of changes included."""
        return self._directory / "data"

    @property
    def process(self) -> int:
        """The pid of the process whose children serve the connections."""
        return int((self.data / "postmaster.pid").read_text().split()[0])

    def dsn(self, database: str = "postgres") -> str:
        return f"host={self._directory} port={self.port} user={self._user} dbname={database}"

    def _answers(self) -> bool:
        try:
            self.command("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    @contextmanager
    def database(self) -> Iterator[str]:
        """The dsn of a database that is empty. It is emptied again afterwards: making one takes ten times as long."""
        name = self._free.pop() if self._free else self._new()
        yield self.dsn(name)
        with psycopg.connect(self.dsn(name), autocommit=True) as connection:
            connection.execute(_ALONE)
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        self._free.append(name)

    def _new(self) -> str:
        name = f"test_{next(self._numbers)}"
        self.command(f"CREATE DATABASE {name} TEMPLATE template0")
        return name

    def command(self, sql: str, dsn: str = "") -> None:
        """Do `sql` as the server's administrator, in the database that `dsn` names."""
        with psycopg.connect(dsn or self.dsn(), autocommit=True) as connection:
            connection.execute(sql.encode())


@contextmanager
def private_server(port: int = 5432, **more: str) -> Iterator[PrivateServer]:
    """`port` names the socket, and the TCP port if `more` settings make the server listen."""
    user = _unprivileged_user()
    directory = Path(tempfile.mkdtemp(prefix="geumgo-postgres-"))
    try:
        if os.geteuid() == 0:
            shutil.chown(directory, user)
        data = directory / "data"
        initdb = [
            _program("initdb"),
            "--no-sync",
            "--no-locale",
            "-E",
            "UTF8",
            "-A",
            "trust",
            "-U",
            user,
            "-D",
            str(data),
        ]
        subprocess.run([*_as(user), *initdb], check=True, capture_output=True, cwd=directory)
        settings = [f"--{name}={value}" for name, value in {**SETTINGS, "port": str(port), **more}.items()]
        command = [_program("postgres"), "-D", str(data), "-k", str(directory), *settings]
        server = PrivateServer(directory, user, [*_as(user), *command], port)
        try:
            server.mortal.start()
            yield server
        finally:
            server.mortal.kill()  # nothing here is worth a tidy end
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _as(user: str) -> list[str]:
    """PostgreSQL refuses to run as root. It stops when the process that started it is gone, however that went."""
    other = [f"--reuid={user}", f"--regid={pwd.getpwnam(user).pw_gid}", "--clear-groups"] if os.geteuid() == 0 else []
    return ["setpriv", *other, "--pdeathsig=QUIT"]


def _unprivileged_user() -> str:
    if os.geteuid() != 0:
        return pwd.getpwuid(os.geteuid()).pw_name
    known = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


def _program(name: str) -> str:
    places = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[-3]))
    found = str(places[-1]) if places else shutil.which(name)
    assert found, f"PostgreSQL's {name} is not installed. Install it with: apt-get install postgresql"
    return found
