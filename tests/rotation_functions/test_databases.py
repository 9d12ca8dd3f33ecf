"""The functions for databases, against real databases and a real server."""

import json
import os
import string
import threading
import uuid
from typing import Any

import pytest

from geumgo.rotation_functions import redis
from geumgo.rotation_functions.steps import OfDatabase, alternating_users, single_user
from tests.rotation_functions.rotating import Rotating, Strategy, event
from tests.rotation_functions.servers import CHIEF
from tests.rotation_functions.targets import Values
from tests.server import Server

ROTATIONS = int(os.environ.get("GEUMGO_TEST_ROTATIONS", "3"))  # 100 in the long form


@pytest.fixture
def arn(rotating: Rotating) -> str:
    master = rotating.keep(*CHIEF)
    return rotating.secret("first", masterarn=master, note="kept")


def test_a_rotation_changes_the_password_and_keeps_every_other_key(
    rotating: Rotating, arn: str, strategy: Strategy
) -> None:
    before = rotating.value(arn, "AWSCURRENT")
    rotating.rotate(arn, strategy)
    after = rotating.value(arn, "AWSCURRENT")
    assert after["password"] != before["password"]
    assert rotating.target.logs_in(after)
    assert rotating.target.reads_app(after)
    assert rotating.target.logs_in(before) == (strategy is alternating_users or rotating.target.keeps_previous)
    own = {"password", "username"}
    assert {k: v for k, v in after.items() if k not in own} == {k: v for k, v in before.items() if k not in own}
    rotating.rotate(arn, strategy)
    assert not rotating.target.logs_in(before)
    assert rotating.target.reads_app(rotating.value(arn, "AWSCURRENT"))


def test_an_application_logs_in_all_the_while(rotating: Rotating, arn: str, strategy: Strategy) -> None:
    """At 20 Hz. Of alternating users AWSCURRENT always logs in; of a single user one of the labels does, at every moment."""
    goes_on = strategy is alternating_users or rotating.target.keeps_previous
    values = Values(rotating.target, goes_on, [rotating.value(arn, "AWSCURRENT")])
    failed: list[str] = []
    tries = 0
    done = threading.Event()

    def application() -> None:
        nonlocal tries
        while not done.wait(0.05):
            tries += 1
            if not _gets_in(rotating, arn, strategy):
                failed.append(str(tries))

    thread = threading.Thread(target=application)
    thread.start()
    try:
        for _ in range(ROTATIONS):
            rotating.rotate(arn, strategy)
            values.follow(rotating.value(arn, "AWSCURRENT"))
    finally:
        done.set()
        thread.join()
    name = f"{rotating.target.module.ENGINE}, {strategy.__name__}"
    print(f"{name}: {values.figures()}; {tries} times read and logged in, {len(failed)} failed")  # noqa: T201 - a figure
    assert tries > 0
    assert failed == []
    assert values.refused == ROTATIONS - goes_on


def _gets_in(rotating: Rotating, arn: str, strategy: Strategy) -> bool:
    """As an application does. The labels of a single user are all read before any is tried, so a step may pass in between: AWSCURRENT
    that was read before the database changed is followed by the AWSPENDING that was written before it did."""
    if strategy is alternating_users:
        return rotating.target.logs_in(rotating.value(arn, "AWSCURRENT"))
    for _ in range(2):  # a whole rotation may pass between two reads
        for stage in ("AWSCURRENT", "AWSPENDING", "AWSPREVIOUS"):
            try:
                if rotating.target.logs_in(rotating.value(arn, stage)):
                    return True
            except rotating.client.exceptions.ResourceNotFoundException:
                continue
    return False


def test_at_each_step_of_a_single_user_one_of_the_labels_logs_in(rotating: Rotating, arn: str) -> None:
    for _ in range(ROTATIONS):
        for step in rotating.steps(arn, single_user):
            known = [rotating.value(arn, "AWSCURRENT"), rotating.value(arn, "AWSPENDING")]
            assert any(map(rotating.target.logs_in, known)), step


def test_a_step_that_was_done_before_a_crash_may_be_done_again(
    rotating: Rotating, arn: str, strategy: Strategy
) -> None:
    """Killed after the database changed: setSecret of the same version finds its work done, and all goes on."""
    token = str(uuid.uuid4())
    rotating.create(arn, token, strategy)
    handler = strategy(rotating.target.module)
    for step in (
        "createSecret",
        "setSecret",
        "setSecret",
        "createSecret",
        "testSecret",
        "finishSecret",
        "finishSecret",
    ):
        handler(event(arn, token, step), None)
    assert rotating.target.logs_in(rotating.value(arn, "AWSCURRENT"))


def test_the_previous_password_still_opens_the_way(rotating: Rotating, arn: str) -> None:
    """AWSCURRENT was overwritten by hand with a password that the database never heard of."""
    value = rotating.value(arn, "AWSCURRENT")
    rotating.client.put_secret_value(SecretId=arn, SecretString=json.dumps({**value, "password": "never-set"}))
    rotating.rotate(arn, single_user)
    assert rotating.target.logs_in(rotating.value(arn, "AWSCURRENT"))


def test_every_printable_character_may_be_in_a_password(
    rotating: Rotating, arn: str, strategy: Strategy, monkeypatch: pytest.MonkeyPatch
) -> None:
    passwords = [string.punctuation + " aé%(x)s{}\\'\"$$" + str(number) for number in range(2)]
    for password in passwords:
        monkeypatch.setattr(OfDatabase, "new_password", lambda self, password=password: password)
        rotating.rotate(arn, strategy)
        value = rotating.value(arn, "AWSCURRENT")
        assert value["password"] == password
        assert rotating.target.logs_in(value)


@pytest.mark.parametrize("ssl", [{}, {"ssl": True}, {"ssl": "true"}])
def test_no_password_goes_to_a_server_without_tls_unless_the_secret_says_so(
    rotating: Rotating, arn: str, ssl: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if rotating.target.module is redis:  # a Redis without TLS waits for the rest of what it takes for a command
        monkeypatch.setattr(redis, "SECONDS", 0.5)
    value = rotating.value(arn, "AWSCURRENT")
    connection = rotating.target.module.connect(value)
    assert connection is not None
    connection.close()
    del value["ssl"]
    assert rotating.target.module.connect({**value, **ssl}) is None


@pytest.mark.parametrize(
    ("change", "says"),
    [({"engine": "db2"}, "Database engine must be set to '"), ({"host": None}, "host key is missing")],
)
def test_a_secret_that_is_not_for_this_function_is_refused(
    rotating: Rotating, arn: str, change: dict[str, Any], says: str
) -> None:
    value = {k: v for k, v in {**rotating.value(arn, "AWSCURRENT"), **change}.items() if v is not None}
    rotating.client.put_secret_value(SecretId=arn, SecretString=json.dumps(value))
    with pytest.raises(KeyError, match=says):
        rotating.rotate(arn, single_user)


def test_a_pending_version_for_another_host_is_refused(rotating: Rotating, arn: str) -> None:
    value = rotating.value(arn, "AWSCURRENT")
    token = str(uuid.uuid4())
    text = json.dumps({**value, "host": "localhost", "password": "wanted"})
    rotating.client.put_secret_value(
        SecretId=arn, ClientRequestToken=token, SecretString=text, VersionStages=["AWSPENDING"]
    )
    with pytest.raises(ValueError, match="host differs"):
        single_user(rotating.target.module)(event(arn, token, "setSecret"), None)
    assert rotating.target.logs_in(value)


@pytest.mark.parametrize("kind", ["instance", "cluster"])
def test_the_master_may_be_one_that_rds_manages(rotating: Rotating, geumgo: Server, kind: str) -> None:
    """Its secret names neither host nor engine; RDS knows them. It may be rotated meanwhile."""
    engine, new_chief = rotating.target.module.ENGINE, rotating.target.new_chief
    if new_chief is None or engine not in ("postgres", "mariadb"):
        pytest.skip("Redis is not attached; the others have a test of their own")
    rds, user = geumgo.client("rds"), new_chief("first")
    before = rotating.keep(user, "first")
    port = str(rotating.target.port)
    tags = {"geumgo:host": "127.0.0.1", "geumgo:port": port, "geumgo:tls": "off", "geumgo:secret": before}
    given: dict[str, Any] = {
        "MasterUsername": user,
        "ManageMasterUserPassword": True,
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    name = f"{kind}-{engine}"
    if kind == "instance":
        made = rds.create_db_instance(DBInstanceIdentifier=name, DBInstanceClass="any", Engine=engine, **given)[
            "DBInstance"
        ]
    else:
        aurora = {"postgres": "aurora-postgresql", "mariadb": "mysql"}[engine]
        made = rds.create_db_cluster(DBClusterIdentifier=name, Engine=aurora, **given)["DBCluster"]
    master = made["MasterUserSecret"]["SecretArn"]
    arn = rotating.secret("first", masterarn=master)
    if kind == "cluster" and engine == "mariadb":
        with pytest.raises(KeyError, match="engine must be set to 'mariadb'"):
            rotating.rotate(arn, alternating_users)
        return
    for _ in range(2):
        rotating.rotate(arn, alternating_users)
        assert rotating.target.reads_app(rotating.value(arn, "AWSCURRENT"))


def test_the_master_may_be_one_that_documentdb_or_redshift_manages(rotating: Rotating, geumgo: Server) -> None:
    engine, new_chief = rotating.target.module.ENGINE, rotating.target.new_chief
    if new_chief is None or engine not in ("mongo", "redshift"):
        pytest.skip("the others are RDS's, or nobody's")
    user, name = new_chief("first"), f"own-{uuid.uuid4().hex[:8]}"
    before = rotating.keep(user, "first")
    tags = {
        "geumgo:host": "127.0.0.1",
        "geumgo:port": str(rotating.target.port),
        "geumgo:tls": "off",
        "geumgo:secret": before,
    }
    given: dict[str, Any] = {
        "MasterUsername": user,
        "Tags": [{"Key": key, "Value": value} for key, value in tags.items()],
    }
    if engine == "mongo":
        made = geumgo.client("docdb").create_db_cluster(
            DBClusterIdentifier=name, Engine="docdb", ManageMasterUserPassword=True, **given
        )
        master = made["DBCluster"]["MasterUserSecret"]["SecretArn"]
    else:
        made = geumgo.client("redshift").create_cluster(
            ClusterIdentifier=name, NodeType="any", DBName="postgres", ManageMasterPassword=True, **given
        )
        master = made["Cluster"]["MasterPasswordSecretArn"]
    arn = rotating.secret("first", masterarn=master)
    for _ in range(2):
        rotating.rotate(arn, alternating_users)
        assert rotating.target.reads_app(rotating.value(arn, "AWSCURRENT"))


def test_a_master_needs_no_more_than_the_page_says(rotating: Rotating) -> None:
    """What docs/operate/rotation-functions.md says of his rights. He makes the clone, and sets its password the next time."""
    master = rotating.keep(rotating.target.new_master("master-password"), "master-password")
    arn = rotating.secret("first", masterarn=master)
    for _ in range(3):
        rotating.rotate(arn, alternating_users)
        assert rotating.target.reads_app(rotating.value(arn, "AWSCURRENT"))
