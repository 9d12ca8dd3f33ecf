"""What is done with a secret that nobody uses, and taken back when somebody does.

Each handler takes the EventBridge event "Config Rules Compliance Change". NON_COMPLIANT: the action is done. COMPLIANT: it is taken back.
Anything else: nothing. To take it back by hand, invoke the function with `{"undo": "<ARN of the secret>"}`.

EventBridge delivers at least once, so each action can be done twice and is done once. An event can also be old: a secret that was read
since its verdict is left alone, as is one that belongs to a service, or wears the tag `keep-when-unused`.

Source of the event: "Monitoring AWS Config with Amazon EventBridge", AWS Config Developer Guide.
"""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import boto3

KEEP_TAG = "keep-when-unused"
SINCE_TAG = "unused-since"
SID = "DenyWhileUnused"
WINDOW_DAYS = 30

Secret = dict[str, Any]
Answer = dict[str, str]
Action = Callable[[Any, Secret], str]
"""From a client of Secrets Manager and what DescribeSecret says to what was done, in a word; empty: it was so already."""


def handler(do: Action, undo: Action) -> Callable[[dict[str, Any], Any], Answer]:
    """The Lambda handler of an action. It answers the secret's ARN and what was done."""

    def lambda_handler(event: dict[str, Any], context: Any) -> Answer:  # noqa: ARG001 - Lambda calls it with both
        client = boto3.client("secretsmanager")
        if "undo" in event:
            return _answer(event["undo"], undo(client, client.describe_secret(SecretId=event["undo"])))
        detail = event["detail"]
        arn, result = detail["resourceId"], detail["newEvaluationResult"]
        if detail["resourceType"] != "AWS::SecretsManager::Secret":
            return _answer(arn, "left alone: it is no secret")
        try:
            secret = client.describe_secret(SecretId=arn)
        except client.exceptions.ResourceNotFoundException:
            return _answer(arn, "left alone: it is gone")
        if result["complianceType"] == "COMPLIANT":
            return _answer(arn, undo(client, secret))
        if result["complianceType"] != "NON_COMPLIANT":
            return _answer(arn, "left alone: no verdict")
        reason = _reason_to_leave(secret, result)
        return _answer(arn, f"left alone: {reason}" if reason else do(client, secret))

    return lambda_handler


def _answer(arn: str, done: str) -> Answer:
    said = {"secret": arn, "done": done or "it was so already"}
    print(json.dumps(said))  # noqa: T201 - the log of the function is its record
    return said


def _reason_to_leave(secret: Secret, result: dict[str, Any]) -> str:
    """Why the action is not for this secret; empty: it is."""
    if secret.get("OwningService"):
        return "it belongs to a service"
    if KEEP_TAG in _tags(secret):
        return f"it wears the tag {KEEP_TAG}"
    judged = result["evaluationResultIdentifier"]["orderingTimestamp"][:10]
    read = secret.get("LastAccessedDate")
    if read is not None and read.astimezone(UTC).strftime("%Y-%m-%d") >= judged:
        return "it was read on the day of its verdict or later"
    return ""


def _tags(secret: Secret) -> dict[str, str]:
    return {tag["Key"]: tag.get("Value", "") for tag in secret.get("Tags", [])}


# -- a tag ------------------------------------------------------------------------------------------------------------


def tag(client: Any, secret: Secret) -> str:
    """The secret wears `unused-since` with the day when it was read last (or made)."""
    if SINCE_TAG in _tags(secret):
        return ""
    since: datetime = secret.get("LastAccessedDate") or secret["CreatedDate"]
    day = since.astimezone(UTC).strftime("%Y-%m-%d")
    client.tag_resource(SecretId=secret["ARN"], Tags=[{"Key": SINCE_TAG, "Value": day}])
    return f"tagged {SINCE_TAG}={day}"


def untag(client: Any, secret: Secret) -> str:
    if SINCE_TAG not in _tags(secret):
        return ""
    client.untag_resource(SecretId=secret["ARN"], TagKeys=[SINCE_TAG])
    return "untagged"


# -- a denial ---------------------------------------------------------------------------------------------------------


def deny(client: Any, secret: Secret) -> str:
    """Nobody may read the value: a statement in the secret's own policy, beside what stands there already."""
    document = _policy(client, secret)
    if any(statement.get("Sid") == SID for statement in document["Statement"]):
        return ""
    statement = {
        "Sid": SID,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
    }
    document["Statement"].append(statement)
    client.put_resource_policy(SecretId=secret["ARN"], ResourcePolicy=json.dumps(document))
    tag(client, secret)
    return "denied to everybody"


def allow(client: Any, secret: Secret) -> str:
    """That statement is gone; the rest of the policy is as it was."""
    document = _policy(client, secret)
    left = [statement for statement in document["Statement"] if statement.get("Sid") != SID]
    if len(left) == len(document["Statement"]):
        return ""
    if left:
        policy = json.dumps({**document, "Statement": left})
        client.put_resource_policy(SecretId=secret["ARN"], ResourcePolicy=policy)
    else:
        client.delete_resource_policy(SecretId=secret["ARN"])
    untag(client, secret)
    return "allowed again"


def _policy(client: Any, secret: Secret) -> dict[str, Any]:
    text = client.get_resource_policy(SecretId=secret["ARN"]).get("ResourcePolicy")
    document: dict[str, Any] = json.loads(text) if text else {"Version": "2012-10-17", "Statement": []}
    statements = document["Statement"]
    return {**document, "Statement": statements if isinstance(statements, list) else [statements]}


# -- a deletion -------------------------------------------------------------------------------------------------------


def schedule_deletion(client: Any, secret: Secret) -> str:
    """The secret is deleted in WINDOW_DAYS (7 to 30, by default 30) unless somebody restores it."""
    if "DeletedDate" in secret:
        return ""
    days = int(os.environ.get("WINDOW_DAYS", str(WINDOW_DAYS)))
    tag(client, secret)
    client.delete_secret(SecretId=secret["ARN"], RecoveryWindowInDays=days)
    return f"to be deleted in {days} days"


def restore(client: Any, secret: Secret) -> str:
    if "DeletedDate" not in secret:
        return untag(client, secret)
    client.restore_secret(SecretId=secret["ARN"])
    untag(client, secret)
    return "restored"


tag_handler = handler(tag, untag)
deny_handler = handler(deny, allow)
deletion_handler = handler(schedule_deletion, restore)
