"""The service-linked roles that services of ours would have. Pure."""

import json
from typing import Final, NamedTuple


class ServiceLinked(NamedTuple):
    """How AWS names the role of a service, and the managed policy that it holds (ARN), None where none is served here.

    `trusts` is the service that assumes it, where that asks under another name here than the role is called after.
    """

    role_name: str
    policy: str | None = None
    trusts: str | None = None


KNOWN: Final = {
    "config.amazonaws.com": ServiceLinked(
        "AWSServiceRoleForConfig", "arn:aws:iam::aws:policy/aws-service-role/AWSConfigServiceRolePolicy"
    ),
    "rds.amazonaws.com": ServiceLinked(
        "AWSServiceRoleForRDS", "arn:aws:iam::aws:policy/aws-service-role/AmazonRDSServiceRolePolicy"
    ),
    "redshift.amazonaws.com": ServiceLinked(
        "AWSServiceRoleForRedshift", "arn:aws:iam::aws:policy/aws-service-role/AmazonRedshiftServiceLinkedRolePolicy"
    ),
    "ecs.amazonaws.com": ServiceLinked("AWSServiceRoleForECS"),
    "ssm.amazonaws.com": ServiceLinked("AWSServiceRoleForAmazonSSM"),
    "events.amazonaws.com": ServiceLinked("AWSServiceRoleForCloudWatchEvents"),
    "apidestinations.events.amazonaws.com": ServiceLinked(
        "AWSServiceRoleForAmazonEventBridgeApiDestinations",
        "arn:aws:iam::aws:policy/aws-service-role/AmazonEventBridgeApiDestinationsServiceRolePolicy",
        trusts="events.amazonaws.com",
    ),
    "cloudtrail.amazonaws.com": ServiceLinked("AWSServiceRoleForCloudTrail"),
}
"""Source: "AWS services that work with IAM" and each service's guide on service-linked roles."""


def trust(service: str) -> str:
    """Only the service itself may assume the role."""
    known = KNOWN.get(service)
    trusted = known.trusts if known is not None and known.trusts is not None else service
    statement = {"Effect": "Allow", "Principal": {"Service": trusted}, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})
