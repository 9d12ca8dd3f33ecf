"""A PostgreSQL, a MariaDB and a Redis of our own: started for a test session on loopback ports, gone with the session."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql

from geumgo.rotation_functions.redis import Connection
from tests.mortal import Mortal
from tests.storage.postgres_server import PrivateServer, private_server

CHIEF = ("chief", "chief-password")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@contextmanager
def password_postgres() -> Iterator[PrivateServer]:
    """A PostgreSQL without TLS that asks for passwords over the network, whose CHIEF may do everything."""
    with private_server(free_port(), listen_addresses="127.0.0.1", password_encryption="scram-sha-256") as server:
        (server.data / "pg_hba.conf").write_text("local all all trust\nhost all all 127.0.0.1/32 scram-sha-256\n")
        server.command("SELECT pg_reload_conf()")
        server.command("CREATE ROLE {} SUPERUSER LOGIN PASSWORD '{}'".format(*CHIEF))
        yield server


@contextmanager
def mariadb_server(*options: str) -> Iterator[int]:
    """The port of a MariaDB without TLS (unless `options` give it some), whose CHIEF may do everything."""
    with mortal_mariadb(*options) as (port, _):
        yield port


@contextmanager
def mortal_mariadb(*options: str) -> Iterator[tuple[int, Mortal]]:
    """As `mariadb_server`, and what kills it and starts it again."""
    with _directory("mariadb", "mysql") as (directory, user):
        data, port = directory / "data", free_port()
        install = [shutil.which("mariadb-install-db"), "--no-defaults", f"--datadir={data}", f"--user={user}"]
        install += ["--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve"]
        # Its own place for temporary files: the one of who runs the tests may be closed to the server's user.
        environment = {**os.environ, "TMPDIR": str(directory)}
        subprocess.run([str(part) for part in install], check=True, capture_output=True, cwd=directory, env=environment)
        grants = "CREATE USER IF NOT EXISTS '{}'@'127.0.0.1' IDENTIFIED BY '{}';\nGRANT ALL ON *.* TO 'chief'@'127.0.0.1' WITH GRANT OPTION;"
        script = directory / "init.sql"
        script.write_text(grants.format(*CHIEF) + "\nCREATE DATABASE IF NOT EXISTS app;\n")
        program = shutil.which("mariadbd") or "/usr/sbin/mariadbd"
        command = [
            program,
            "--no-defaults",
            f"--datadir={data}",
            f"--user={user}",
            f"--port={port}",
            "--skip-name-resolve",
        ]
        command += ["--bind-address=127.0.0.1", f"--socket={directory}/socket", f"--init-file={script}"]
        command += [
            f"--tmpdir={directory}",
            "--innodb-buffer-pool-size=16M",
            "--innodb-flush-log-at-trx-commit=2",
            *options,
        ]

        def answers() -> bool:
            try:
                pymysql.connect(
                    host="127.0.0.1", port=port, user=CHIEF[0], password=CHIEF[1], database="app", ssl_disabled=True
                ).close()
            except pymysql.OperationalError:
                return False
            return True

        with _running(command, directory, answers) as mortal:
            yield port, mortal


@contextmanager
def redis_server(*options: str) -> Iterator[tuple[int, Path]]:
    """The port of a Redis whose CHIEF may do everything, and the file of its users."""
    with mortal_redis(*options) as (port, users, _):
        yield port, users


@contextmanager
def mortal_redis(*options: str) -> Iterator[tuple[int, Path, Mortal]]:
    """As `redis_server`, and what kills it and starts it again."""
    with _directory("redis", "redis") as (directory, user):
        port = free_port()
        users = directory / "users.acl"
        users.write_text("user default off\nuser {} on >{} ~* &* +@all\n".format(*CHIEF))
        if os.geteuid() == 0:
            shutil.chown(users, user)
        program = shutil.which("redis-server") or "/usr/bin/redis-server"
        command = ["setpriv", f"--reuid={user}", "--clear-groups"] if os.geteuid() == 0 else []
        command += [
            program,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--save",
            "",
            "--aclfile",
            str(users),
            *options,
        ]

        def answers() -> bool:
            try:
                with socket.create_connection(("127.0.0.1", port), timeout=1) as connected:
                    connection = Connection(connected)
                    connection.command("AUTH", *CHIEF)
                    connection.close()
            except OSError:
                return False
            return True

        with _running(command, directory, answers) as mortal:
            yield port, users, mortal


@contextmanager
def _directory(name: str, user: str) -> Iterator[tuple[Path, str]]:
    directory = Path(tempfile.mkdtemp(prefix=f"geumgo-{name}-"))
    try:
        owner = pwd.getpwuid(os.geteuid()).pw_name
        if os.geteuid() == 0:
            owner = user if user in {entry.pw_name for entry in pwd.getpwall()} else "nobody"
            shutil.chown(directory, owner)
        yield directory, owner
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def _running(command: list[str], directory: Path, answers: Callable[[], bool]) -> Iterator[Mortal]:
    mortal = Mortal(command, cwd=directory, log=directory / "log", answers=answers)
    try:
        mortal.start()
        yield mortal
    finally:
        mortal.kill()  # nothing here is worth a tidy end
