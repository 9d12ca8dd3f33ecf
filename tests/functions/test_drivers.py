"""What functions import that were written for Lambda: PyGreSQL's modules, and the file of certificate authorities that Amazon Linux has.

With PyGreSQL itself on the path (`PYGRESQL=DIRECTORY`), the tests of the driver run against it, too.
"""

import importlib
import json
import os
import sys
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import geumgo.functions.drivers
from geumgo.functions import authorities
from geumgo.functions.host import Host
from geumgo.functions.reach import Rules
from tests.functions.test_host import nowhere, task
from tests.functions.zips import package
from tests.rotation_functions.servers import CHIEF, password_postgres

OURS = str(Path(geumgo.functions.drivers.__file__).parent)
DRIVERS = [OURS, *([os.environ["PYGRESQL"]] if "PYGRESQL" in os.environ else [])]
IMPORTS = """
import pg, pgdb, ssl

def handler(event, context):
    context = ssl.create_default_context(cafile=event["file"])
    return [pg.__file__, pgdb.__file__, len(context.get_ca_certs()), issubclass(pg.InternalError, pg.DatabaseError)]
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Of a PostgreSQL without TLS that asks for passwords."""
    with password_postgres() as server:
        yield server.port


@pytest.fixture(params=DRIVERS, ids=["ours", "PyGreSQL"][: len(DRIVERS)])
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any]]:
    """The modules pg and pgdb."""
    monkeypatch.syspath_prepend(request.param)
    yield importlib.import_module("pg"), importlib.import_module("pgdb")
    for name in [each for each in sys.modules if each.partition(".")[0] in ("pg", "pgdb")]:
        del sys.modules[name]


@pytest.mark.parametrize("file", authorities.PLACES)
def test_a_function_finds_the_driver_and_the_authorities_where_lambda_has_them(tmp_path: Path, file: str) -> None:
    asked = task(IMPORTS, event=json.dumps({"file": file}).encode())
    got = Host(nowhere, Rules(), directory=tmp_path, most=1).run(asked)
    pg, pgdb, known, joined = json.loads(got.payload)
    assert (pg, pgdb, joined) == ("/opt/geumgo/pg.py", "/opt/geumgo/pgdb.py", True)
    assert known > 50


def test_a_package_that_brings_its_own_driver_has_that_one(tmp_path: Path) -> None:
    code = "import pgdb\ndef handler(event, context):\n    return pgdb.mine\n"
    brought = replace(task(), code=package(code, **{"pgdb.py": "mine = 1\n"}))
    assert Host(nowhere, Rules(), directory=tmp_path, most=1).run(brought).payload == b"1"


def test_a_user_is_cloned_and_given_a_password_with_the_values_in_the_statement(
    driver: tuple[Any, Any], port: int
) -> None:
    pg, pgdb = driver
    place = {"host": "127.0.0.1", "port": port, "database": "postgres", "connect_timeout": 5, "sslmode": "disable"}
    connection = pgdb.connect(user=CHIEF[0], password=CHIEF[1], **place)
    clone = f'cl"one x{uuid.uuid4().hex}'
    for password in ("first'\\%s", "second"):
        with connection.cursor() as cursor:
            cursor.execute("SELECT quote_ident(%s)", (clone,))
            name = cursor.fetchone()[0]
            cursor.execute("SELECT rolname FROM pg_roles WHERE rolname = %(name)s", {"name": clone})
            rows = cursor.fetchall()
            assert [row.rolname for row in rows] == ([clone] if password == "second" else [])
            assert cursor.rowcount == len(rows)
            verb = "ALTER USER" if rows else "CREATE ROLE"
            cursor.execute(f"{verb} {name} WITH LOGIN PASSWORD %s", (password,))
            cursor.execute("SELECT '100%'")
            assert cursor.fetchone()[0] == "100%"
            assert cursor.fetchone() is None
        connection.commit()
        pgdb.connect(user=clone, password=password, **place).close()
    with pytest.raises(pg.InternalError, match="password authentication failed"):
        pgdb.connect(user=clone, password="first'\\%s", **place)
    with pytest.raises(pg.InternalError, match="server does not support SSL, but SSL was required"):
        pgdb.connect(
            user=CHIEF[0], password=CHIEF[1], **{**place, "sslmode": "verify-full"}, sslrootcert=authorities.BUNDLES[0]
        )
    connection.close()


def test_what_is_not_committed_is_not_done_and_with_commits_and_leaves_open(driver: tuple[Any, Any], port: int) -> None:
    pg, pgdb = driver
    place = {"dsn": f"127.0.0.1:postgres:{CHIEF[0]}:{CHIEF[1]}", "host": f"127.0.0.1:{port}", "sslmode": "disable"}
    first, second = pgdb.connect(**place), pgdb.connect(**place)
    name = f"kept_{uuid.uuid4().hex}"
    with first:
        first.cursor().execute(f"CREATE TABLE {name} (x int)")
    with pytest.raises(pg.ProgrammingError), first:
        first.cursor().execute(f"INSERT INTO {name} VALUES (1); SELECT * FROM nowhere")
    first.cursor().execute(f"INSERT INTO {name} VALUES (2)")
    first.rollback()
    with first:
        first.cursor().execute(f"INSERT INTO {name} VALUES (%s)", (3,))
    looks = second.cursor()
    looks.execute(f"SELECT x FROM {name}")
    assert [tuple(row) for row in looks.fetchall()] == [(3,)]
    first.close()
    second.close()


def test_what_is_not_there_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(OURS)
    pg = importlib.import_module("pg")
    del sys.modules["pg"]
    with pytest.raises(AttributeError, match="bring PyGreSQL in the package or in a layer"):
        _ = pg.DB
