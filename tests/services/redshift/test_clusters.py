"""Attaching clusters: what is refused, what a cluster says of itself, lists, tags, rights."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.protocol.models import errors_of
from geumgo.services.redshift import errors
from tests.house import House

WHERE = [{"Key": "geumgo:host", "Value": "127.0.0.1"}, {"Key": "geumgo:port", "Value": "5439"}]
GOOD: dict[str, Any] = {
    "ClusterIdentifier": "mine",
    "NodeType": "ra3.large",
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
        ({"Tags": tagged(geumgo_tls="on")}, "geumgo:tls is verify-full"),
        ({"Tags": tagged(aws_x="x")}, "InvalidTagFault.*reserved"),
        ({"Tags": tagged(**{f"t{number}": "x" for number in range(49)})}, "TagLimitExceededFault"),
        ({"Port": 5433}, "InvalidParameterCombination.*geumgo:port"),
        ({"MasterUserPassword": None}, "MasterUserPassword must be provided"),
        ({"MasterUserPassword": ""}, "MasterUserPassword must be provided"),
        ({"MasterUsername": "Chief"}, "InvalidParameterValue.*MasterUsername"),
        ({"MasterUsername": "public"}, "MasterUsername"),
        ({"MasterUsername": "a\0b"}, "not allowed"),
        ({"DBName": "a b"}, "DBName"),
        ({"ClusterIdentifier": "-x"}, "InvalidParameterValue.*is not valid"),
        ({"ClusterIdentifier": "a--b"}, "is not valid"),
        ({"ClusterIdentifier": "Mine"}, "is not valid"),
        ({"ClusterIdentifier": "a" * 64}, "is not valid"),
        ({"ManageMasterPassword": True}, "InvalidParameterCombination.*MasterUserPassword"),
        ({"ManageMasterPassword": True, "MasterUserPassword": None}, "in the tag geumgo:secret"),
        (
            {"MasterPasswordSecretKmsKeyId": "alias/x"},
            "InvalidParameterCombination.*only use MasterPasswordSecretKmsKeyId",
        ),
        ({"HsmConfigurationIdentifier": "x"}, "HsmConfigurationIdentifier is not served"),
        ({"IamRoles": ["arn:aws:iam::123456789012:role/x"]}, "IamRoles is not served"),
    ],
)
def test_what_does_not_say_where_the_cluster_is_or_how_to_log_in_is_refused(
    redshift: Any, change: dict[str, Any], says: str
) -> None:
    given = {key: value for key, value in {**GOOD, **change}.items() if value is not None}
    with pytest.raises(ClientError, match=says):
        redshift.create_cluster(**given)
    assert redshift.describe_clusters()["Clusters"] == []


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"MasterUserPassword": "Short1"}, "InvalidParameterValue.*between 8 and 64"),
        ({"MasterUserPassword": "no upper case 1"}, "upper case"),
        ({"MasterUserPassword": "NO LOWER CASE 1"}, "lower case"),
        ({"MasterUserPassword": "NoDigitAtAll"}, "digit"),
        ({"MasterUserPassword": "With/Slash1"}, "printable ASCII"),
        ({"ManageMasterPassword": True, "MasterUserPassword": "Enough123"}, "InvalidParameterCombination"),
        ({"MasterPasswordSecretKmsKeyId": "alias/x"}, "only when ManageMasterPassword is turned on"),
        ({"NewClusterIdentifier": "x"}, "NewClusterIdentifier is not served"),
        ({"Port": 5440}, "port of a cluster cannot be changed"),
        ({"MasterUserPassword": "Enough123"}, "InvalidClusterState.*creating"),
    ],
)
def test_what_cannot_be_changed_is_refused(redshift: Any, params: dict[str, Any], says: str) -> None:
    redshift.create_cluster(**GOOD)
    with pytest.raises(ClientError, match=says) as refused:
        redshift.modify_cluster(ClusterIdentifier="mine", **params)
    assert params.get("MasterUserPassword", "no such thing") not in str(refused.value)


def test_what_is_said_of_the_machine_is_shown_again(house: House, redshift: Any) -> None:
    said = {"NumberOfNodes": 2, "Encrypted": True, "AutomatedSnapshotRetentionPeriod": 7, "ClusterVersion": "1.0"}
    made = redshift.create_cluster(**GOOD, **said, MultiAZ=True)["Cluster"]
    assert {name: made[name] for name in said} == said
    assert made["MultiAZ"] == "Enabled"
    assert made["Endpoint"] == {"Address": "127.0.0.1", "Port": 5439}
    assert (made["DBName"], made["NodeType"], made["ClusterStatus"]) == ("dev", "ra3.large", "creating")
    redshift.modify_cluster(ClusterIdentifier="mine", NumberOfNodes=4)
    assert redshift.describe_clusters(ClusterIdentifier="mine")["Clusters"][0]["NumberOfNodes"] == 4
    with pytest.raises(ClientError, match=r"ClusterAlreadyExists\).*Cluster already exists"):
        redshift.create_cluster(**GOOD)
    with pytest.raises(ClientError, match="FinalClusterSnapshotIdentifier is required"):
        redshift.delete_cluster(ClusterIdentifier="mine")
    with pytest.raises(ClientError, match="Snapshots are not made here"):
        redshift.delete_cluster(ClusterIdentifier="mine", FinalClusterSnapshotIdentifier="x")
    assert (
        redshift.delete_cluster(ClusterIdentifier="mine", SkipFinalClusterSnapshot=True)["Cluster"]["ClusterStatus"]
        == "deleting"
    )
    with pytest.raises(ClientError, match=r"InvalidClusterState\).*deleting"):
        redshift.delete_cluster(ClusterIdentifier="mine", SkipFinalClusterSnapshot=True)
    house.run_jobs()
    for call in (redshift.describe_clusters, redshift.modify_cluster, redshift.delete_cluster):
        for name in ("mine", "No\0body"):
            with pytest.raises(ClientError, match=r"ClusterNotFound|InvalidParameterValue"):
                call(ClusterIdentifier=name)


def test_it_is_the_same_on_each_engine(house_on_each: House) -> None:
    redshift = house_on_each.client("redshift")
    redshift.create_cluster(**GOOD, NumberOfNodes=2)
    redshift.modify_cluster(ClusterIdentifier="mine", NumberOfNodes=3)
    assert redshift.describe_clusters()["Clusters"][0]["NumberOfNodes"] == 3
    redshift.delete_cluster(ClusterIdentifier="mine", SkipFinalClusterSnapshot=True)
    house_on_each.run_jobs()
    assert redshift.describe_clusters()["Clusters"] == []


def test_lists_are_paged_and_asked_by_tag(redshift: Any) -> None:
    for number in range(25):
        tags = tagged(team="a" if number % 5 else "b", **({"odd": "yes"} if number % 2 else {}))
        redshift.create_cluster(
            **{**GOOD, "ClusterIdentifier": f"c{number:02}", "MasterUsername": f"u{number}", "Tags": tags}
        )
    found: list[str] = []
    marker: dict[str, str] = {}
    while True:
        page = redshift.describe_clusters(MaxRecords=20, **marker)
        found += [each["ClusterIdentifier"] for each in page["Clusters"]]
        if "Marker" not in page:
            break
        marker = {"Marker": page["Marker"]}
    assert found == [f"c{number:02}" for number in range(25)]
    with pytest.raises(ClientError, match=r"InvalidParameterValue.*Marker"):
        redshift.describe_clusters(MaxRecords=20, TagKeys=["odd"], **marker)
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        redshift.describe_clusters(ClusterIdentifier="c00", **marker)
    with pytest.raises(ClientError, match=r"InvalidParameterValue.*MaxRecords"):
        redshift.describe_clusters(MaxRecords=19)
    assert len(redshift.describe_clusters(TagKeys=["odd", "nobody"])["Clusters"]) == 12
    assert len(redshift.describe_clusters(TagKeys=["team"], TagValues=["b"])["Clusters"]) == 5
    every: list[Any] = []
    for page in redshift.get_paginator("describe_tags").paginate(TagKeys=["team", "odd"]):
        every += page["TaggedResources"]
    assert len(every) == 37
    assert {each["ResourceType"] for each in every} == {"Cluster"}


def test_tags_come_and_go_but_those_that_say_where(house: House, redshift: Any) -> None:
    redshift.create_cluster(**GOOD)
    arn = f"arn:aws:redshift:us-east-1:{house.account}:cluster:mine"
    redshift.create_tags(ResourceName=arn, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b"}])
    redshift.delete_tags(ResourceName=arn, TagKeys=["b", "never"])
    shown = {
        each["Tag"]["Key"]: each["Tag"]["Value"] for each in redshift.describe_tags(ResourceName=arn)["TaggedResources"]
    }
    assert shown == {"a": "1", "geumgo:host": "127.0.0.1", "geumgo:port": "5439"}
    for call, params in (
        (redshift.create_tags, {"Tags": [{"Key": "geumgo:host", "Value": "evil"}]}),
        (redshift.delete_tags, {"TagKeys": ["geumgo:port"]}),
    ):
        with pytest.raises(ClientError, match=r"InvalidTagFault.*where the database is"):
            call(ResourceName=arn, **params)
    with pytest.raises(ClientError, match="ResourceNotFoundFault"):
        redshift.create_tags(ResourceName=arn + "x", Tags=[{"Key": "a", "Value": "1"}])
    with pytest.raises(ClientError, match=r"InvalidParameterValue.*Invalid resource name"):
        redshift.describe_tags(ResourceName="mine")
    with pytest.raises(ClientError, match="InvalidParameterCombination"):
        redshift.describe_tags(ResourceName=arn, ResourceType="cluster")
    assert redshift.describe_tags(ResourceType="snapshot")["TaggedResources"] == []


def test_rights_are_by_cluster_and_tag(house: House, redshift: Any) -> None:
    arn = f"arn:aws:redshift:us-east-1:{house.account}:cluster:mine"
    needs_team = {
        "Effect": "Allow",
        "Action": "redshift:CreateCluster",
        "Resource": arn,
        "Condition": {"StringEquals": {"aws:RequestTag/team": "a"}},
    }
    ann = house.client("redshift", house.user("ann", needs_team))
    with pytest.raises(ClientError, match=rf"AccessDenied.*redshift:CreateCluster on resource: {arn}"):
        ann.create_cluster(**GOOD)
    ann.create_cluster(**{**GOOD, "Tags": tagged(team="a")})
    by_tag = {
        "Effect": "Allow",
        "Action": ["redshift:*Cluster", "redshift:*Tags"],
        "Resource": "*",
        "Condition": {"StringEquals": {"aws:ResourceTag/team": "a"}},
    }
    bea = house.client("redshift", house.user("bea", by_tag))
    bea.modify_cluster(ClusterIdentifier="mine", NumberOfNodes=2)
    bea.create_tags(ResourceName=arn, Tags=[{"Key": "x", "Value": "1"}])
    redshift.create_cluster(**{**GOOD, "ClusterIdentifier": "other"})
    with pytest.raises(ClientError, match="AccessDenied"):
        bea.modify_cluster(ClusterIdentifier="other", NumberOfNodes=2)
    with pytest.raises(ClientError, match="AccessDenied"):
        bea.describe_clusters()


def test_every_refusal_is_one_that_the_model_or_every_query_api_knows() -> None:
    common = {"InvalidParameterValue", "InvalidParameterCombination"}
    kinds: list[Any] = [each for each in vars(errors).values() if getattr(each, "__module__", "") == errors.__name__]
    assert len(kinds) >= 7
    assert {kind.code for kind in kinds} <= errors_of("redshift") | common
