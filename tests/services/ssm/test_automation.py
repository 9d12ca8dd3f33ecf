"""Automation: documents that act on secrets, started by hand and by EventBridge, as the role that they are given."""

import json
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.house import House

TAG = "Geumgo-TagSecret"


def role(house: House, name: str, trusts: str, *statements: dict[str, Any]) -> str:
    iam = house.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": trusts}, "Action": "sts:AssumeRole"}
    made = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust})
    )
    if statements:
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_role_policy(RoleName=name, PolicyName="may", PolicyDocument=policy)
    arn: str = made["Role"]["Arn"]
    return arn


def allows(action: str, resource: str = "*") -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def actor(house: House, *actions: str) -> str:
    return role(house, "acts", "ssm.amazonaws.com", *(allows(action) for action in actions))


def start(house: House, role_arn: str, document: str = TAG, **parameters: str) -> str:
    given = {"SecretId": ["db"], "AutomationAssumeRole": [role_arn], **{k: [v] for k, v in parameters.items()}}
    made = house.client("ssm").start_automation_execution(DocumentName=document, Parameters=given)
    execution: str = made["AutomationExecutionId"]
    return execution


def execution(house: House, execution_id: str) -> dict[str, Any]:
    found = house.client("ssm").get_automation_execution(AutomationExecutionId=execution_id)
    told: dict[str, Any] = found["AutomationExecution"]
    return told


def test_a_document_does_its_steps_as_its_role(house_on_each: House) -> None:
    house = house_on_each
    house.client("secretsmanager").create_secret(Name="db", SecretString="x")
    made = start(house, actor(house, "secretsmanager:TagResource"), TagKey="unused", TagValue="yes")
    assert execution(house, made)["AutomationExecutionStatus"] == "Pending"
    house.run_jobs()
    told = execution(house, made)
    assert told["AutomationExecutionStatus"] == "Success"
    (step,) = told["StepExecutions"]
    assert (step["StepName"], step["StepStatus"], step["IsEnd"]) == ("TagSecret", "Success", True)
    assert told["Parameters"]["TagKey"] == ["unused"]
    assert house.client("secretsmanager").describe_secret(SecretId="db")["Tags"] == [{"Key": "unused", "Value": "yes"}]
    record = next(each for each in house.trail() if each["eventName"] == "TagResource")
    assert record["userIdentity"]["arn"].endswith(":assumed-role/acts/ssm")


def test_what_the_role_may_not_do_fails_and_says_so(house: House) -> None:
    house.client("secretsmanager").create_secret(Name="db", SecretString="x")
    made = start(house, actor(house, "secretsmanager:GetResourcePolicy"), "Geumgo-DenySecret")
    house.run_jobs()
    told = execution(house, made)
    assert told["AutomationExecutionStatus"] == "Failed"
    assert [step["StepStatus"] for step in told["StepExecutions"]] == ["Success", "Failed"]
    assert "secretsmanager:PutResourcePolicy" in told["FailureMessage"]


def test_the_same_token_starts_one_execution_and_another_request_with_it_none(house: House) -> None:
    ssm, arn, token = house.client("ssm"), actor(house), str(uuid.uuid4())
    asked = {
        "DocumentName": TAG,
        "Parameters": {"SecretId": ["db"], "AutomationAssumeRole": [arn]},
        "ClientToken": token,
    }
    ids = {ssm.start_automation_execution(**asked)["AutomationExecutionId"] for _ in range(2)}
    assert len(ids) == 1
    with pytest.raises(ClientError, match="IdempotentParameterMismatch"):
        ssm.start_automation_execution(**{**asked, "DocumentName": "Geumgo-DenySecret"})


def test_executions_are_listed_the_newest_first_and_filtered(house: House) -> None:
    ssm, arn = house.client("ssm"), actor(house)
    made = []
    for document in (TAG, "Geumgo-DenySecret", TAG):
        made.append(start(house, arn, document))
        house.clock.turn(ms=1_000)
    pages = ssm.get_paginator("describe_automation_executions").paginate(PaginationConfig={"PageSize": 2})
    assert [
        each["AutomationExecutionId"] for page in pages for each in page["AutomationExecutionMetadataList"]
    ] == made[::-1]

    def listed(key: str, value: str) -> list[str]:
        found = ssm.describe_automation_executions(Filters=[{"Key": key, "Values": [value]}])
        return [each["AutomationExecutionId"] for each in found["AutomationExecutionMetadataList"]]

    assert listed("DocumentNamePrefix", "Geumgo-Deny") == [made[1]]
    assert listed("ExecutionId", made[2]) == [made[2]]
    assert listed("ExecutionStatus", "Success") == []
    with pytest.raises(ClientError, match="InvalidFilterKey"):
        listed("TagKey", "x")
    with pytest.raises(ClientError, match="InvalidNextToken"):
        ssm.describe_automation_executions(NextToken="made up")


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"DocumentName": "AWS-StopEC2Instance"}, "AutomationDefinitionNotFoundException"),
        ({"DocumentVersion": "7"}, "AutomationDefinitionVersionNotFoundException"),
        ({"Parameters": {"SecretId": ["db"]}}, "InvalidAutomationExecutionParametersException"),
        ({"Mode": "Interactive"}, "ValidationException"),
        ({"MaxErrors": "1"}, "ValidationException"),
    ],
)
def test_what_is_not_served_is_refused(house: House, more: dict[str, Any], code: str) -> None:
    asked = {"DocumentName": TAG, "Parameters": {"SecretId": ["db"], "AutomationAssumeRole": [actor(house)]}}
    with pytest.raises(ClientError, match=code):
        house.client("ssm").start_automation_execution(**{**asked, **more})


def test_whoever_hands_a_role_to_a_document_must_be_allowed_to(house: House) -> None:
    arn = actor(house)
    ann = house.client("ssm", house.user("ann", allows("ssm:*")))
    given = {"SecretId": ["db"], "AutomationAssumeRole": [arn]}
    with pytest.raises(ClientError, match="iam:PassRole"):
        ann.start_automation_execution(DocumentName=TAG, Parameters=given)
    with pytest.raises(ClientError, match="AutomationExecutionNotFound"):
        ann.get_automation_execution(AutomationExecutionId=str(uuid.uuid4()))


def test_an_execution_that_somebody_forged_does_nothing(house: House) -> None:
    house.client("secretsmanager").create_secret(Name="db", SecretString="x")
    made = start(house, actor(house, "secretsmanager:*"))
    with house.app.storage.writing() as tx:
        tx.run("UPDATE ssm_automation SET document = 'Geumgo-ScheduleSecretDeletion' WHERE id = :id", id=made)
    house.run_jobs()
    assert "DeletedDate" not in house.client("secretsmanager").describe_secret(SecretId="db")


def test_eventbridge_starts_a_document_once_for_each_event(house: House) -> None:
    house.client("secretsmanager").create_secret(Name="db", SecretString="x")
    acts = actor(house, "secretsmanager:TagResource")
    starts = role(
        house, "starts", "events.amazonaws.com", allows("ssm:StartAutomationExecution"), allows("iam:PassRole", acts)
    )
    events = house.client("events")
    events.put_rule(Name="unused", EventPattern=json.dumps({"source": ["my.watch"]}))
    template = '{"SecretId": ["<secret>"], "AutomationAssumeRole": ["' + acts + '"], "TagKey": ["seen"]}'
    target = {
        "Id": "tag",
        "Arn": f"arn:aws:ssm:us-east-1:{house.account}:automation-definition/{TAG}:$DEFAULT",
        "RoleArn": starts,
        "InputTransformer": {"InputPathsMap": {"secret": "$.detail.secret"}, "InputTemplate": template},
    }
    assert events.put_targets(Rule="unused", Targets=[target])["FailedEntryCount"] == 0
    entry = {"Source": "my.watch", "DetailType": "d", "Detail": json.dumps({"secret": "db"})}
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
    house.run_jobs()
    assert house.client("secretsmanager").describe_secret(SecretId="db")["Tags"] == [{"Key": "seen", "Value": "true"}]
    listed = house.client("ssm").describe_automation_executions()["AutomationExecutionMetadataList"]
    assert [each["AutomationExecutionStatus"] for each in listed] == ["Success"]
    without = {key: value for key, value in target.items() if key != "RoleArn"}
    with pytest.raises(ClientError, match="RoleArn is required"):
        events.put_targets(Rule="unused", Targets=[without])
