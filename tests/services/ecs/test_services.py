"""Clusters and services: what is refused, what they say of themselves, lists, rights."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.protocol.models import errors_of
from geumgo.services.ecs import errors
from tests.house import House


def entry(account: str, **change: Any) -> dict[str, Any]:
    tls = {
        "issuerCertificateAuthority": {
            "awsPcaAuthorityArn": f"arn:aws:acm-pca:us-east-1:{account}:certificate-authority/x"
        },
        "roleArn": f"arn:aws:iam::{account}:role/infrastructure",
    }
    return {"portName": "api", "tls": {**tls, **change.pop("tls", {})}, **change}


@pytest.mark.parametrize(
    ("change", "namespace", "says"),
    [
        ({}, "", "A namespace is required"),
        ({}, "arn:aws:servicediscovery:us-east-1:123456789012:namespace/ns-1", "A namespace is required"),
        ({"discoveryName": "-x"}, "prod", "discoveryName"),
        ({"portName": "Not a name"}, "prod", "discoveryName"),
        ({"clientAliases": [{"port": 1}, {"port": 2}]}, "prod", "one client alias"),
        ({"clientAliases": [{"port": 1, "dnsName": "no name"}]}, "prod", "not a DNS name"),
        ({"tls": {"issuerCertificateAuthority": {}}}, "prod", "needs awsPcaAuthorityArn"),
        (
            {
                "tls": {
                    "issuerCertificateAuthority": {
                        "awsPcaAuthorityArn": "arn:aws:acm-pca:eu-west-1:123456789012:certificate-authority/x"
                    }
                }
            },
            "prod",
            "awsPcaAuthorityArn is not",
        ),
        ({"tls": {"roleArn": ""}}, "prod", "needs roleArn"),
        ({"tls": {"roleArn": "infrastructure"}}, "prod", "roleArn is not the ARN of a role"),
    ],
)
def test_what_service_connect_must_not_say_is_refused(
    house: House, ecs: Any, change: dict[str, Any], namespace: str, says: str
) -> None:
    ecs.create_cluster()
    configuration = {
        "enabled": True,
        "services": [entry(house.account, **change)],
        **({"namespace": namespace} if namespace else {}),
    }
    with pytest.raises(ClientError, match=rf"(InvalidParameterException.*{says}|AccessDenied)") as refused:
        ecs.create_service(serviceName="shop", serviceConnectConfiguration=configuration)
    assert "InvalidParameter" in str(refused.value) or change.get("tls") == {"roleArn": "infrastructure"}
    assert ecs.list_services()["serviceArns"] == []


def test_the_namespace_may_be_that_of_the_cluster(house: House, ecs: Any) -> None:
    ecs.create_cluster(clusterName="main", serviceConnectDefaults={"namespace": "prod"})
    ecs.create_service(
        cluster="main",
        serviceName="shop",
        serviceConnectConfiguration={"enabled": True, "services": [entry(house.account)]},
    )
    twice = {"enabled": True, "services": [entry(house.account), entry(house.account)]}
    with pytest.raises(ClientError, match="portName"):
        ecs.create_service(cluster="main", serviceName="other", serviceConnectConfiguration=twice)


def test_clusters_come_and_go(house: House, ecs: Any) -> None:
    made = ecs.create_cluster(tags=[{"key": "team", "value": "a"}])["cluster"]
    assert made["clusterArn"] == f"arn:aws:ecs:us-east-1:{house.account}:cluster/default"
    assert (made["status"], made["tags"]) == ("ACTIVE", [{"key": "team", "value": "a"}])
    assert ecs.create_cluster()["cluster"]["clusterArn"] == made["clusterArn"]
    nothing: dict[str, Any]
    for nothing in ({}, {"clusters": []}):
        assert [each["clusterName"] for each in ecs.describe_clusters(**nothing)["clusters"]] == ["default"]
    shown = ecs.describe_clusters(clusters=["default", "nobody"], include=["TAGS"])
    assert [each["clusterName"] for each in shown["clusters"]] == ["default"]
    assert shown["clusters"][0]["tags"] == [{"key": "team", "value": "a"}]
    assert [each["reason"] for each in shown["failures"]] == ["MISSING"]
    for name in ("a b", "x" * 256):
        with pytest.raises(ClientError, match="InvalidParameterException"):
            ecs.create_cluster(clusterName=name)
    with pytest.raises(ClientError, match=r"InvalidParameterException.*reserved"):
        ecs.create_cluster(clusterName="x", tags=[{"key": "aws:x", "value": "a"}])
    assert ecs.delete_cluster(cluster=made["clusterArn"])["cluster"]["status"] == "INACTIVE"
    with pytest.raises(ClientError, match=r"ClusterNotFoundException.*Cluster not found\."):
        ecs.delete_cluster(cluster="default")


def test_services_are_kept_and_shown(house: House, ecs: Any) -> None:
    ecs.create_cluster(clusterName="main")
    said = {"taskDefinition": "shop:1", "desiredCount": 2, "launchType": "FARGATE"}
    made = ecs.create_service(cluster="main", serviceName="shop", **said, tags=[{"key": "a", "value": "1"}])["service"]
    assert {name: made[name] for name in said} == said
    assert made["serviceArn"] == f"arn:aws:ecs:us-east-1:{house.account}:service/main/shop"
    assert (made["runningCount"], made["deployments"][0]["rolloutState"]) == (0, "COMPLETED")
    with pytest.raises(ClientError, match=r"InvalidParameterException.*Creation of service was not idempotent\."):
        ecs.create_service(cluster="main", serviceName="shop")
    ecs.update_service(cluster="main", service=made["serviceArn"], desiredCount=0)
    shown = ecs.describe_services(cluster="main", services=["shop", "nobody"], include=["TAGS"])
    assert (shown["services"][0]["desiredCount"], shown["services"][0]["tags"]) == (0, [{"key": "a", "value": "1"}])
    assert shown["failures"] == [
        {"arn": f"arn:aws:ecs:us-east-1:{house.account}:service/main/nobody", "reason": "MISSING"}
    ]
    ecs.create_cluster(clusterName="other")
    assert ecs.describe_services(cluster="other", services=[made["serviceArn"]])["services"] == []
    with pytest.raises(ClientError, match="loadBalancers is not served here"):
        ecs.create_service(cluster="main", serviceName="x", loadBalancers=[{"containerName": "x", "containerPort": 1}])
    with pytest.raises(ClientError, match="ServiceNotFoundException"):
        ecs.update_service(cluster="main", service="nobody")
    with pytest.raises(ClientError, match="ClusterNotFoundException"):
        ecs.create_service(cluster="nowhere", serviceName="x")
    ecs.delete_service(cluster="main", service="shop")
    assert ecs.list_services(cluster="main")["serviceArns"] == []


def test_lists_are_paged(ecs: Any) -> None:
    for number in range(7):
        ecs.create_cluster(clusterName=f"c{number}")
        ecs.create_service(cluster="c0", serviceName=f"s{number}", launchType="FARGATE" if number % 2 else "EC2")
    pages = ecs.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 3})
    assert [len(page["clusterArns"]) for page in pages] == [3, 3, 1]
    pages = ecs.get_paginator("list_services").paginate(
        cluster="c0", launchType="FARGATE", PaginationConfig={"PageSize": 2}
    )
    assert [len(page["serviceArns"]) for page in pages] == [2, 1]
    with pytest.raises(ClientError, match="InvalidParameterException"):
        ecs.list_clusters(maxResults=101)
    with pytest.raises(ClientError, match="Invalid token"):
        ecs.list_services(cluster="c0", nextToken="x")


def test_rights_are_by_service_cluster_tag_and_role(house: House, ecs: Any) -> None:
    ecs.create_cluster(clusterName="main")
    arn = f"arn:aws:ecs:us-east-1:{house.account}:service/main/shop"
    creates = {"Effect": "Allow", "Action": ["ecs:CreateService", "ecs:UpdateService"], "Resource": arn}
    configuration = {"enabled": True, "namespace": "prod", "services": [entry(house.account)]}
    ann = house.client("ecs", house.user("ann", creates))
    with pytest.raises(ClientError, match=r"AccessDenied.*iam:PassRole"):
        ann.create_service(cluster="main", serviceName="shop", serviceConnectConfiguration=configuration)
    with pytest.raises(ClientError, match=r"AccessDenied.*ecs:TagResource"):
        ann.create_service(cluster="main", serviceName="shop", tags=[{"key": "a", "value": "1"}])
    with pytest.raises(ClientError, match=rf"AccessDenied.*ecs:CreateService on resource: {arn[:-4]}other"):
        ann.create_service(cluster="main", serviceName="other")
    passes = {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": "*",
        "Condition": {"StringEquals": {"iam:PassedToService": "ecs.amazonaws.com"}},
    }
    bea = house.client("ecs", house.user("bea", creates, passes))
    bea.create_service(cluster="main", serviceName="shop", serviceConnectConfiguration=configuration)
    in_cluster = {
        "Effect": "Allow",
        "Action": "ecs:*",
        "Resource": "*",
        "Condition": {"ArnEquals": {"ecs:cluster": f"arn:aws:ecs:us-east-1:{house.account}:cluster/main"}},
    }
    cid = house.client("ecs", house.user("cid", in_cluster))
    assert cid.describe_services(cluster="main", services=["shop"])["services"]
    ecs.create_cluster(clusterName="other")
    with pytest.raises(ClientError, match="AccessDenied"):
        cid.list_services(cluster="other")


def test_every_refusal_is_one_that_the_model_knows() -> None:
    kinds: list[Any] = [each for each in vars(errors).values() if getattr(each, "__module__", "") == errors.__name__]
    assert len(kinds) >= 5
    assert {kind.code for kind in kinds} <= errors_of("ecs")
