"""Attaching databases: what is refused, what a database says of itself, lists, tags, rights."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.house import House
from tests.rotation_functions.servers import free_port
from tests.rotation_functions.targets import Target
from tests.services.rds.attached import Attached

WHERE = [{"Key": "geumgo:host", "Value": "127.0.0.1"}, {"Key": "geumgo:port", "Value": "5432"}]
GOOD: dict[str, Any] = {
    "DBInstanceIdentifier": "mine",
    "DBInstanceClass": "db.t3.micro",
    "Engine": "postgres",
    "MasterUsername": "chief",
    "MasterUserPassword": "secret",
    "Tags": WHERE,
}


def tagged(**tags: str) -> list[dict[str, str]]:
    return [*WHERE, *({"Key": key.replace("_", ":"), "Value": value} for key, value in tags.items())]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"Tags": None}, "InvalidParameterValue.*that you already run is attached.*missing: geumgo:host, geumgo:port"),
        ({"Tags": WHERE[:1]}, "InvalidParameterValue.*missing: geumgo:port"),
        ({"Tags": [WHERE[0], {"Key": "geumgo:port", "Value": "70000"}]}, "geumgo:port is no port"),
        ({"Tags": [{"Key": "geumgo:host", "Value": "a b"}, WHERE[1]]}, "geumgo:host is no host name"),
        ({"Tags": tagged(geumgo_tls="on")}, "geumgo:tls is verify-full"),
        ({"Tags": tagged(geumgo_hots="x")}, "There is no tag geumgo:hots"),
        ({"Tags": tagged(aws_x="x")}, "InvalidParameterValue.*reserved"),
        ({"Port": 5433}, "InvalidParameterCombination.*geumgo:port"),
        ({"Engine": "oracle-ee"}, "InvalidParameterValue.*Invalid DB engine"),
        ({"Engine": "aurora-postgresql"}, "Invalid DB engine"),
        ({"MasterUsername": None}, "MasterUsername must be provided"),
        ({"MasterUserPassword": None}, "MasterUserPassword must be provided"),
        ({"MasterUserPassword": ""}, "MasterUserPassword must be provided"),
        ({"ManageMasterUserPassword": True}, "InvalidParameterCombination.*MasterUserPassword"),
        ({"ManageMasterUserPassword": True, "MasterUserPassword": None}, "in the tag geumgo:secret"),
        ({"MasterUserSecretKmsKeyId": "alias/x"}, "InvalidParameterCombination.*only when ManageMasterUserPassword"),
        ({"DBInstanceIdentifier": "-x"}, "InvalidParameterValue.*not a valid identifier"),
        ({"DBInstanceIdentifier": "a--b"}, "not a valid identifier"),
        ({"DBInstanceIdentifier": "a" * 64}, "not a valid identifier"),
        ({"DBClusterIdentifier": "c"}, "DBClusterNotFoundFault"),
        ({"EnableIAMDatabaseAuthentication": True}, "EnableIAMDatabaseAuthentication is not served"),
        ({"Domain": "d-1"}, "Domain is not served"),
        ({"MasterUserAuthenticationType": "iam-db-auth"}, "MasterUserAuthenticationType"),
        ({"MasterUsername": "a\0b"}, "not allowed"),
    ],
)
def test_what_does_not_say_where_the_database_is_or_how_to_log_in_is_refused(
    rds: Any, change: dict[str, Any], says: str
) -> None:
    given = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(ClientError, match=says):
        rds.create_db_instance(**given)
    assert rds.describe_db_instances()["DBInstances"] == []


def test_the_secret_with_the_password_so_far_must_hold_it_and_be_readable(house: House, rds: Any, sm: Any) -> None:
    tags = tagged(geumgo_secret="before")
    given = {
        **{k: v for k, v in GOOD.items() if k != "MasterUserPassword"},
        "ManageMasterUserPassword": True,
        "Tags": tags,
    }
    with pytest.raises(ClientError, match="can't find the specified secret"):
        rds.create_db_instance(**given)
    sm.create_secret(Name="before", SecretString="text")
    for text in ("text", "[]", '{"username": "other", "password": "x"}', '{"username": "chief", "password": 1}'):
        sm.put_secret_value(SecretId="before", SecretString=text)
        with pytest.raises(ClientError, match=r"InvalidParameterValue.*username, which is chief"):
            rds.create_db_instance(**given)
    sm.put_secret_value(SecretId="before", SecretString='{"username": "chief", "password": "x"}')
    ann = house.user("ann", {"Effect": "Allow", "Action": "rds:*", "Resource": "*"})
    with pytest.raises(ClientError, match=r"AccessDenied.*secretsmanager:GetSecretValue"):
        house.client("rds", ann).create_db_instance(**given)
    rights = [
        "rds:*",
        "secretsmanager:GetSecretValue",
        "secretsmanager:CreateSecret",
        "secretsmanager:TagResource",
        "kms:DescribeKey",
    ]
    bea = house.user("bea", {"Effect": "Allow", "Action": rights, "Resource": "*"})
    with pytest.raises(ClientError, match=r"AccessDenied.*iam:CreateServiceLinkedRole"):
        house.client("rds", bea).create_db_instance(**given)
    house.client("iam").create_service_linked_role(AWSServiceName="rds.amazonaws.com")
    made = house.client("rds", bea).create_db_instance(**given)["DBInstance"]
    assert made["MasterUserSecret"]["SecretStatus"] == "creating"


def test_a_wrong_password_is_said_so_and_nothing_is_changed(house: House, target: Target) -> None:
    attached = Attached(house, target, "db")
    attached.create(MasterUserPassword="wrong")
    house.run_jobs()
    assert attached.status() == "failed"
    assert "does not let the master user in" in attached.describe()["StatusInfos"][0]["Message"]
    with pytest.raises(ClientError, match=r"InvalidDBInstanceState.*failed"):
        attached.call("modify", MasterUserPassword="other")
    attached.call("delete", SkipFinalSnapshot=True)
    house.run_jobs()
    assert house.client("rds").describe_db_instances()["DBInstances"] == []


def test_a_wrong_password_in_the_managed_secret_is_said_so(house: House, postgres: Target) -> None:
    attached = Attached(house, postgres, "db")
    attached.sm.create_secret(Name="b", SecretString=json.dumps({"username": attached.user, "password": "wrong"}))
    attached.create(tags={"geumgo:secret": "b"}, ManageMasterUserPassword=True)
    house.run_jobs()
    assert attached.status() == "failed"
    assert attached.describe()["MasterUserSecret"]["SecretStatus"] == "impaired"
    assert "password in geumgo:secret" in attached.describe()["StatusInfos"][0]["Message"]
    assert attached.logs_in("first")


def test_a_database_that_the_operator_did_not_list_is_not_spoken_to(house: House, postgres: Target) -> None:
    attached = Attached(house, postgres, "cluster")
    attached.create(tags={"geumgo:host": "127.0.0.2"}, MasterUserPassword="first")
    house.run_jobs()
    assert attached.status() == "failed"
    assert "not public" in attached.describe()["StatusInfos"][0]["Message"]


def test_a_database_that_cannot_be_reached_is_tried_for_an_hour(house: House, postgres: Target) -> None:
    attached = Attached(house, postgres, "db")
    attached.create(tags={"geumgo:port": str(free_port())}, MasterUserPassword="first")
    house.run_jobs()
    assert attached.status() == "creating"
    assert "cannot be reached" in attached.describe()["StatusInfos"][0]["Message"]
    for _ in range(70):
        house.clock.turn(ms=60_000)
        house.run_jobs()
    assert attached.status() == "failed"


def test_plaintext_is_never_spoken_without_a_word(house: House, target: Target) -> None:
    attached = Attached(house, target, "db")
    attached.create(tags={"geumgo:tls": ""}, MasterUserPassword="first")
    house.run_jobs()
    assert attached.status() == "creating"
    assert "certificate" in attached.describe()["StatusInfos"][0]["Message"]


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"MasterUserPassword": "x"}, "InvalidParameterCombination"),
        ({"ManageMasterUserPassword": False}, "InvalidParameterCombination.*must specify MasterUserPassword"),
        ({"RotateMasterUserPassword": True}, "InvalidParameterCombination.*ApplyImmediately"),
        ({"MasterUserSecretKmsKeyId": "alias/x"}, "InvalidParameterCombination.*MasterUserSecretKmsKeyId"),
        ({"NewDBInstanceIdentifier": "x"}, "NewDBInstanceIdentifier is not served"),
        ({"Engine": "mysql"}, "engine of a database cannot be changed"),
    ],
)
def test_what_does_not_go_together_is_refused(
    house: House, postgres: Target, params: dict[str, Any], says: str
) -> None:
    attached = Attached(house, postgres, "db")
    attached.create_managed()
    with pytest.raises(ClientError, match=says):
        attached.call("modify", **params)
    assert attached.status() == "available"


def test_one_thing_is_done_at_a_time(house: House, postgres: Target) -> None:
    attached = Attached(house, postgres, "cluster")
    attached.create_managed()
    attached.call("modify", RotateMasterUserPassword=True, ApplyImmediately=True)
    with pytest.raises(ClientError, match=r"InvalidDBClusterStateFault.*resetting-master-credentials"):
        attached.call("modify", RotateMasterUserPassword=True, ApplyImmediately=True)
    attached.call("delete", SkipFinalSnapshot=True)
    with pytest.raises(ClientError, match=r"InvalidDBClusterStateFault.*deleting"):
        attached.call("delete", SkipFinalSnapshot=True)


def test_what_is_said_of_the_machine_is_shown_again(house: House, rds: Any) -> None:
    said = {
        "AllocatedStorage": 20,
        "MultiAZ": True,
        "EngineVersion": "15.4",
        "StorageType": "gp3",
        "DeletionProtection": True,
    }
    made = rds.create_db_instance(**GOOD, **said, DBName="app")["DBInstance"]
    assert {name: made[name] for name in said} == said
    assert made["Endpoint"] == {"Address": "127.0.0.1", "Port": 5432}
    assert made["DBName"] == "app"
    assert made["DBInstanceArn"] == f"arn:aws:rds:us-east-1:{house.account}:db:mine"
    rds.modify_db_instance(DBInstanceIdentifier="mine", AllocatedStorage=30)
    with pytest.raises(ClientError, match="protected DB Instance"):
        rds.delete_db_instance(DBInstanceIdentifier="mine", SkipFinalSnapshot=True)
    rds.modify_db_instance(DBInstanceIdentifier="mine", DeletionProtection=False)
    assert rds.describe_db_instances()["DBInstances"][0]["AllocatedStorage"] == 30
    with pytest.raises(ClientError, match="FinalDBSnapshotIdentifier is required"):
        rds.delete_db_instance(DBInstanceIdentifier="mine")
    with pytest.raises(ClientError, match="Snapshots are not made here"):
        rds.delete_db_instance(DBInstanceIdentifier="mine", FinalDBSnapshotIdentifier="x")
    rds.delete_db_instance(DBInstanceIdentifier="MINE", SkipFinalSnapshot=True)


def test_a_name_is_taken_once_for_each_kind(rds: Any) -> None:
    rds.create_db_instance(**GOOD)
    with pytest.raises(ClientError, match=r"DBInstanceAlreadyExists\).*DB instance already exists"):
        rds.create_db_instance(**{**GOOD, "DBInstanceIdentifier": "MINE"})
    cluster = {k: v for k, v in GOOD.items() if not k.startswith("DBInstance")}
    rds.create_db_cluster(DBClusterIdentifier="mine", **cluster)
    with pytest.raises(ClientError, match=r"DBClusterAlreadyExistsFault\)"):
        rds.create_db_cluster(DBClusterIdentifier="mine", **cluster)
    for client_call, code in (
        (lambda: rds.describe_db_instances(DBInstanceIdentifier="nobody"), "DBInstanceNotFound"),
        (lambda: rds.describe_db_clusters(DBClusterIdentifier="nobody"), "DBClusterNotFoundFault"),
        (lambda: rds.delete_db_cluster(DBClusterIdentifier="nobody", SkipFinalSnapshot=True), "DBClusterNotFoundFault"),
        (lambda: rds.modify_db_instance(DBInstanceIdentifier="no\0body"), "InvalidParameterValue"),
    ):
        with pytest.raises(ClientError, match=rf"\({code}\)"):
            client_call()


def test_lists_are_paged_and_filtered(rds: Any) -> None:
    for number in range(25):
        rds.create_db_instance(
            **{**GOOD, "DBInstanceIdentifier": f"db{number:02}", "Engine": "postgres" if number % 2 else "mysql"}
        )
    pages = list(rds.get_paginator("describe_db_instances").paginate(PaginationConfig={"PageSize": 20}))
    assert [len(page["DBInstances"]) for page in pages] == [20, 5]
    names = [each["DBInstanceIdentifier"] for page in pages for each in page["DBInstances"]]
    assert names == sorted(names)
    found = rds.describe_db_instances(Filters=[{"Name": "engine", "Values": ["mysql"]}])["DBInstances"]
    assert len(found) == 13
    arn = found[0]["DBInstanceArn"]
    by_arn = rds.describe_db_instances(DBInstanceIdentifier=arn)["DBInstances"]
    by_filter = rds.describe_db_instances(Filters=[{"Name": "db-instance-id", "Values": [arn]}])["DBInstances"]
    assert [each["DBInstanceArn"] for each in (*by_arn, *by_filter)] == [arn, arn]
    for params, says in (
        ({"MaxRecords": 5}, "MaxRecords. Must be between 20 and 100"),
        ({"Marker": "x"}, "Marker is invalid"),
        ({"Filters": [{"Name": "x", "Values": ["y"]}]}, "Unrecognized filter name: x"),
    ):
        with pytest.raises(ClientError, match=says):
            rds.describe_db_instances(**params)


def test_tags_are_changed_but_not_those_that_say_where_the_database_is(house: House, rds: Any) -> None:
    arn = rds.create_db_instance(**GOOD)["DBInstance"]["DBInstanceArn"]
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "team", "Value": "a"}, {"Key": "x", "Value": "y"}])
    rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["x", "not there"])
    assert {"Key": "team", "Value": "a"} in rds.list_tags_for_resource(ResourceName=arn)["TagList"]
    assert len(rds.list_tags_for_resource(ResourceName=arn)["TagList"]) == 3
    with pytest.raises(ClientError, match="geumgo:host says where"):
        rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "geumgo:host", "Value": "evil"}])
    with pytest.raises(ClientError, match="geumgo:port says where"):
        rds.remove_tags_from_resource(ResourceName=arn, TagKeys=["geumgo:port"])
    for name in ("x", f"arn:aws:rds:us-east-1:{house.account}:og:x"):
        with pytest.raises(ClientError, match="Invalid resource name"):
            rds.list_tags_for_resource(ResourceName=name)


def test_tags_and_what_is_asked_for_decide_rights(house: House, rds: Any) -> None:
    arn = rds.create_db_instance(**GOOD)["DBInstance"]["DBInstanceArn"]
    rds.add_tags_to_resource(ResourceName=arn, Tags=[{"Key": "team", "Value": "a"}])
    ann = house.user(
        "ann",
        {
            "Effect": "Allow",
            "Action": "rds:*",
            "Resource": "*",
            "Condition": {"StringEquals": {"rds:db-tag/team": "a"}},
        },
        {
            "Effect": "Allow",
            "Action": ["rds:CreateDBInstance", "rds:AddTagsToResource"],
            "Resource": "*",
            "Condition": {"Bool": {"rds:ManageMasterUserPassword": "true"}},
        },
    )
    hers = house.client("rds", ann)
    hers.modify_db_instance(DBInstanceIdentifier="mine", AllocatedStorage=30)
    with pytest.raises(ClientError, match="AccessDenied"):
        hers.create_db_instance(**{**GOOD, "DBInstanceIdentifier": "other"})
    with pytest.raises(ClientError, match="AccessDenied"):
        hers.describe_db_instances()
    bea = house.user("bea", {"Effect": "Allow", "Action": "rds:CreateDBInstance", "Resource": "*"})
    with pytest.raises(ClientError, match=r"AccessDenied.*rds:AddTagsToResource"):
        house.client("rds", bea).create_db_instance(**{**GOOD, "DBInstanceIdentifier": "other"})


def test_no_password_reaches_the_trail_a_job_or_a_log(
    house: House, postgres: Target, capfd: pytest.CaptureFixture[str]
) -> None:
    attached = Attached(house, postgres, "db")
    attached.create_managed()
    managed = attached.value()["password"]
    attached.call("modify", ManageMasterUserPassword=False, MasterUserPassword="canary-second")
    with house.app.storage.reading() as tx:
        jobs = json.dumps(tx.all("SELECT payload FROM job"))
        rows = str(tx.all("SELECT kept, tags, message, password, next_password FROM rds_database"))
    house.run_jobs()
    everything = json.dumps(house.trail()) + jobs + rows + "".join(capfd.readouterr())
    assert "canary-second" not in everything
    assert managed not in everything
    assert '"first"' not in everything


def test_a_row_that_was_changed_from_outside_sends_no_password_anywhere(house: House, rds: Any) -> None:
    rds.create_db_instance(**GOOD)
    with house.app.storage.writing() as tx:
        tx.run("UPDATE rds_database SET host = 'evil.example.com'")
    with pytest.raises(ClientError, match="InternalFailure"):
        rds.describe_db_instances()


def test_instances_of_a_cluster_have_its_endpoint_and_leave_the_master_user_to_it(house: House, rds: Any) -> None:
    cluster = {k: v for k, v in GOOD.items() if not k.startswith("DBInstance")} | {"Engine": "aurora-postgresql"}
    rds.create_db_cluster(DBClusterIdentifier="shop", **cluster)
    member = {"DBInstanceClass": "db.r6g.large", "Engine": "aurora-postgresql", "DBClusterIdentifier": "shop"}
    for params, says in (
        ({"MasterUsername": "x"}, "MasterUsername is managed by the DB cluster"),
        ({"ManageMasterUserPassword": True}, "ManageMasterUserPassword is managed by the DB cluster"),
        ({"Engine": "aurora-mysql"}, "doesn't match aurora-postgresql"),
        ({"Tags": [{"Key": "geumgo:secret", "Value": "x"}]}, "geumgo:secret belongs to the DB cluster"),
    ):
        with pytest.raises(ClientError, match=says):
            rds.create_db_instance(DBInstanceIdentifier="one", **{**member, **params})
    made = rds.create_db_instance(DBInstanceIdentifier="one", **member)["DBInstance"]
    assert made["DBInstanceStatus"] == "available"
    assert made["Endpoint"]["Address"] == "127.0.0.1"
    reader = [{"Key": "geumgo:host", "Value": "reader.internal"}]
    assert (
        rds.create_db_instance(DBInstanceIdentifier="two", Tags=reader, **member)["DBInstance"]["Endpoint"]["Address"]
        == "reader.internal"
    )
    with pytest.raises(ClientError, match="DBInstanceAlreadyExists"):
        rds.create_db_instance(DBInstanceIdentifier="one", **member)
    shown = rds.describe_db_clusters(DBClusterIdentifier="shop")["DBClusters"][0]
    assert [each["DBInstanceIdentifier"] for each in shown["DBClusterMembers"]] == ["one", "two"]
    for value in ("shop", shown["DBClusterArn"]):
        found = rds.describe_db_instances(Filters=[{"Name": "db-cluster-id", "Values": [value]}])["DBInstances"]
        assert len(found) == 2
    with pytest.raises(ClientError, match="managed by the DB cluster"):
        rds.modify_db_instance(DBInstanceIdentifier="one", MasterUserPassword="x")
    with pytest.raises(ClientError, match=r"InvalidDBClusterStateFault.*still contains DB instances"):
        rds.delete_db_cluster(DBClusterIdentifier="shop", SkipFinalSnapshot=True)
    for name in ("one", "two"):
        rds.delete_db_instance(DBInstanceIdentifier=name, SkipFinalSnapshot=True)
    rds.delete_db_cluster(DBClusterIdentifier="shop", SkipFinalSnapshot=True)
    house.run_jobs()
    assert rds.describe_db_instances()["DBInstances"] == rds.describe_db_clusters()["DBClusters"] == []


def test_a_managed_password_has_one_keeper(house: House, postgres: Target) -> None:
    one = Attached(house, postgres, "db")
    one.create_managed()
    two = Attached(house, postgres, "cluster", name="two")
    two.user = one.user
    with pytest.raises(
        ClientError, match=r"InvalidParameterCombination.*looked after as arn:aws:rds:.*:db:mine already"
    ):
        two.create(MasterUserPassword="first")
    three, four = (Attached(house, postgres, kind, name="three") for kind in ("db", "cluster"))
    four.user = three.user
    three.create(MasterUserPassword="first")
    four.create(MasterUserPassword="first")
    house.run_jobs()
    with pytest.raises(ClientError, match=r"looked after as .*:cluster:three already"):
        three.call("modify", ManageMasterUserPassword=True)
