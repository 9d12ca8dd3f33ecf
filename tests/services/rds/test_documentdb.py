"""Amazon DocumentDB: the same room under the name of another client, and MongoDB's protocol."""

import base64
import socketserver
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.outbound import Allowed, Failed, mongodb
from geumgo.outbound.databases import Databases, Denied, Server
from tests.certificates import certificate
from tests.house import House
from tests.rotation_functions import mongo_server
from tests.rotation_functions.mongo_server import SECANTUS, fake_mongo, secantus_server
from tests.rotation_functions.servers import CHIEF
from tests.rotation_functions.targets import Target, mongo_target
from tests.services.rds.attached import Attached
from tests.services.rds.test_managed import rotate_under_kills

NAME = "hooks.internal"


@pytest.fixture(params=["fake", "only SHA-1, as DocumentDB", *(["secantus"] if SECANTUS else [])])
def mongo(request: pytest.FixtureRequest) -> Iterator[Target]:
    if request.param == "secantus":
        with secantus_server() as port:
            yield mongo_target(port)
        return
    mechanisms = ("SCRAM-SHA-256", "SCRAM-SHA-1") if request.param == "fake" else ("SCRAM-SHA-1",)
    with fake_mongo(mechanisms=mechanisms) as (port, _):
        yield mongo_target(port)


class OfDocumentDB(Attached):
    """A cluster whose master user may do everything, asked about with DocumentDB's own client."""

    def __init__(self, house: House, target: Target) -> None:
        super().__init__(house, target, "cluster")
        assert target.new_chief is not None
        self.user = target.new_chief("first")
        self.rds = house.client("docdb")


@pytest.fixture
def attached(house: House, mongo: Target) -> OfDocumentDB:
    return OfDocumentDB(house, mongo)


def test_its_client_attaches_a_cluster_and_its_password_is_rotated(attached: OfDocumentDB) -> None:
    made = attached.create_managed()
    assert (made["Engine"], made["MasterUserSecret"]["SecretStatus"]) == ("docdb", "creating")
    assert attached.status() == "available", attached.describe()
    shown = attached.describe()["MasterUserSecret"]
    secret = attached.sm.describe_secret(SecretId=shown["SecretArn"])
    assert secret["Name"].startswith("rds!cluster-")
    assert (secret["OwningService"], secret["RotationRules"]["AutomaticallyAfterDays"]) == ("rds", 7)
    seen = ["first", attached.value()["password"]]
    for _ in range(8):
        attached.house.clock.turn(days=1)
        attached.house.run_jobs()
    seen.append(attached.value()["password"])
    attached.call("modify", RotateMasterUserPassword=True, ApplyImmediately=True)
    attached.house.run_jobs()
    seen.append(attached.value()["password"])
    assert len(set(seen)) == 4
    assert [attached.logs_in(each) for each in seen] == [False, False, False, True]
    attached.call("modify", ManageMasterUserPassword=False, MasterUserPassword="third /ä")
    attached.house.run_jobs()
    assert attached.logs_in("third /ä")
    assert "MasterUserSecret" not in attached.describe()


def test_rds_and_documentdb_see_the_same(attached: OfDocumentDB) -> None:
    attached.create(MasterUserPassword="first")
    docdb, rds = attached.house.client("docdb"), attached.house.client("rds")
    docdb.create_db_instance(
        DBInstanceIdentifier="one", DBInstanceClass="db.r5.large", Engine="docdb", DBClusterIdentifier="mine"
    )
    asked = {"Filters": [{"Name": "engine", "Values": ["docdb"]}]}
    for client in (docdb, rds):
        assert [each["DBClusterIdentifier"] for each in client.describe_db_clusters(**asked)["DBClusters"]] == ["mine"]
        assert [each["DBInstanceIdentifier"] for each in client.describe_db_instances(**asked)["DBInstances"]] == [
            "one"
        ]
    arn = attached.describe()["DBClusterArn"]
    docdb.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "team", "Value": "a"}])
    assert {"Key": "team", "Value": "a"} in rds.list_tags_for_resource(ResourceName=arn)["TagList"]
    with pytest.raises(ClientError, match="still contains DB instances"):
        docdb.delete_db_cluster(DBClusterIdentifier="mine", SkipFinalSnapshot=True)
    docdb.delete_db_instance(DBInstanceIdentifier="one")
    docdb.delete_db_cluster(DBClusterIdentifier="mine", SkipFinalSnapshot=True)
    attached.house.run_jobs()
    assert docdb.describe_db_clusters()["DBClusters"] == []


def test_a_job_that_is_killed_between_two_steps_goes_on_where_it_was(
    attached: OfDocumentDB, monkeypatch: pytest.MonkeyPatch
) -> None:
    rotate_under_kills(attached, monkeypatch)


def test_a_wrong_password_is_said_so(attached: OfDocumentDB) -> None:
    attached.create(MasterUserPassword="wrong")
    attached.house.run_jobs()
    assert attached.status() == "failed"


def test_a_user_who_may_set_no_password_is_said_so(house: House, mongo: Target) -> None:
    attached = Attached(house, mongo, "cluster")
    attached.create_managed()
    assert attached.describe()["MasterUserSecret"]["SecretStatus"] == "impaired"
    assert attached.value()["password"] == "first"
    assert attached.logs_in("first")


def test_an_instance_of_documentdb_belongs_to_a_cluster(house: House) -> None:
    with pytest.raises(ClientError, match="Invalid DB engine"):
        house.client("rds").create_db_instance(
            DBInstanceIdentifier="x", DBInstanceClass="any", Engine="docdb", MasterUsername="x", MasterUserPassword="x",
            Tags=[{"Key": "geumgo:host", "Value": "127.0.0.1"}, {"Key": "geumgo:port", "Value": "27017"}],
        )  # fmt: skip


# -- the protocol -----------------------------------------------------------------------------------------------------


def databases(**more: Any) -> Databases:
    return Databases(Allowed.of(("127.0.0.1", "localhost", NAME)), resolve=lambda *_: ["127.0.0.1"], seconds=2, **more)


def where(port: int, *, tls: bool = False) -> Server:
    return Server("mongodb", "localhost", port, "", tls=tls)


def test_scram_as_the_rfc_shows_it() -> None:
    """RFC 7677, section 3."""
    scram = mongodb.Scram(mongodb.Mechanism("SCRAM-SHA-256", "sha256"), "user", "pencil", nonce="rOprNGfwEbeRWgbNEkqO")
    assert scram.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    challenge = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
    assert scram.proof(challenge).endswith(b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=")
    scram.check(b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")
    for forged in (b"v=" + base64.b64encode(b"x" * 32), b"e=other-error", b"v", b"", b"\xff"):
        with pytest.raises(mongodb.NotMongo):
            scram.check(forged)


@pytest.mark.parametrize(
    "challenge",
    [
        b"r=other,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"r=mine,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1",
        b"r=mine,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=999999999",
        b"r=mine,s=!,i=4096",
        b"r=mine,i=4096",
        b"\xff",
        b"",
    ],
)
def test_a_challenge_that_is_none_is_not_answered(challenge: bytes) -> None:
    scram = mongodb.Scram(mongodb.Mechanism("SCRAM-SHA-256", "sha256"), "user", "pencil", nonce="mine")
    with pytest.raises(mongodb.NotMongo):
        scram.proof(challenge)


def test_a_server_that_does_not_know_the_password_itself_is_not_believed() -> None:
    with fake_mongo() as (port, state):
        state.forge = "signature"
        with pytest.raises(Failed, match="cannot be logged in to"):
            databases().set_password(where(port), *CHIEF, "new")
        assert "updateUser" not in state.commands


def test_tls_shows_a_certificate_for_the_name_or_nothing_is_said(tmp_path: Path) -> None:
    file, key = certificate(tmp_path, NAME)
    shows = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    shows.load_cert_chain(file, key)
    with fake_mongo(tls=shows) as (port, state):
        with pytest.raises(Failed, match="certificate"):
            databases().logs_in(Server("mongodb", NAME, port), *CHIEF)
        with pytest.raises(Failed, match="certificate"):
            databases(authorities=str(file)).logs_in(Server("mongodb", "localhost", port), *CHIEF)
        assert state.commands == []
        assert databases(authorities=str(file)).logs_in(Server("mongodb", NAME, port), *CHIEF)
    with fake_mongo() as (port, state), pytest.raises(Failed, match="certificate"):
        databases(authorities=str(file)).logs_in(Server("mongodb", NAME, port), *CHIEF)


def test_the_user_may_be_known_to_another_database() -> None:
    with fake_mongo() as (port, state):
        state.users["shop", "ann"] = mongo_server.User((("root", "admin"),), state.verifiers("ann", "first"))
        server = Server("mongodb", "localhost", port, "shop", tls=False)
        databases().set_password(server, "ann", "first", "second")
        assert databases().logs_in(server, "ann", "second")
        assert not databases().logs_in(where(port), "ann", "second")
        with pytest.raises(Denied):
            databases().set_password(server, "ann", "first", "third")


@pytest.mark.parametrize(
    "spoken",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n" * 4,
        b"\xff" * 64,
        b"\x15\0\0\0" + b"\0" * 8 + b"\xdd\x07\0\0" + b"\0" * 8,
    ],
)
def test_what_is_no_mongodb_is_said_so(spoken: bytes) -> None:
    class Talk(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(spoken)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talk) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        with pytest.raises(Failed):
            databases().logs_in(where(server.server_address[1]), *CHIEF)
        server.shutdown()
