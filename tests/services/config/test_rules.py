"""Recorders, delivery channels, rules, tags, and what is told of compliance."""

import json

import pytest
from botocore.exceptions import ClientError

UNUSED = "SECRETSMANAGER_SECRET_UNUSED"
USING_CMK = "SECRETSMANAGER_USING_CMK"


def refused(code, call, **given):
    with pytest.raises(ClientError) as refusal:
        call(**given)
    assert refusal.value.response["Error"]["Code"] == code, refusal.value
    return refusal.value.response["Error"]["Message"]


# -- recorders and delivery channels ----------------------------------------------------------------------------------


def test_a_recorder_and_its_channel_live_as_clients_expect(house):
    config = house.client("config")
    role = house.client("iam").create_service_linked_role(AWSServiceName="config.amazonaws.com")["Role"]["Arn"]
    channel = {"name": "default", "s3BucketName": "bucket", "configSnapshotDeliveryProperties": {"deliveryFrequency": "Six_Hours"}}  # fmt: skip
    refused("NoAvailableConfigurationRecorderException", config.put_delivery_channel, DeliveryChannel=channel)
    config.put_configuration_recorder(ConfigurationRecorder={"name": "default", "roleARN": role}, Tags=[{"Key": "a", "Value": "b"}])  # fmt: skip
    (found,) = config.describe_configuration_recorders()["ConfigurationRecorders"]
    arn = found.pop("arn")
    assert arn.startswith(f"arn:aws:config:us-east-1:{house.account}:configuration-recorder/default/")
    assert found == {
        "name": "default",
        "roleARN": role,
        "recordingGroup": {
            "allSupported": True,
            "includeGlobalResourceTypes": False,
            "resourceTypes": [],
            "recordingStrategy": {"useOnly": "ALL_SUPPORTED_RESOURCE_TYPES"},
        },
        "recordingScope": "PAID",
    }
    assert config.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "a", "Value": "b"}]
    named = {"ConfigurationRecorderName": "default"}
    refused("NoAvailableDeliveryChannelException", config.start_configuration_recorder, **named)
    config.put_delivery_channel(DeliveryChannel=channel)
    assert config.describe_delivery_channels()["DeliveryChannels"] == [channel]
    assert config.describe_delivery_channel_status()["DeliveryChannelsStatus"][0]["name"] == "default"
    config.start_configuration_recorder(**named)
    (status,) = config.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
    assert (status["recording"], status["lastStatus"]) == (True, "Pending")
    refused("LastDeliveryChannelDeleteFailedException", config.delete_delivery_channel, DeliveryChannelName="default")
    config.stop_configuration_recorder(**named)
    (status,) = config.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
    assert status["recording"] is False
    assert status["lastStopTime"] >= status["lastStartTime"]
    assert [each["arn"] for each in config.list_configuration_recorders()["ConfigurationRecorderSummaries"]] == [arn]
    config.delete_delivery_channel(DeliveryChannelName="default")
    config.delete_configuration_recorder(**named)
    assert config.describe_configuration_recorders()["ConfigurationRecorders"] == []


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"name": "other"}, "MaxNumberOfConfigurationRecordersExceededException"),
        ({"name": " "}, "InvalidConfigurationRecorderNameException"),
        ({"roleARN": ""}, "InvalidRoleException"),
        ({"roleARN": "none"}, "InvalidRoleException"),
        ({"recordingGroup": {"allSupported": True, "resourceTypes": ["AWS::KMS::Key"]}}, "InvalidRecordingGroupException"),
        ({"recordingGroup": {"allSupported": False}}, "InvalidRecordingGroupException"),
        ({"recordingGroup": {"recordingStrategy": {"useOnly": "EXCLUSION_BY_RESOURCE_TYPES"}, "resourceTypes": ["AWS::KMS::Key"]}}, "InvalidRecordingGroupException"),
    ],
)  # fmt: skip
def test_recorders_that_cannot_be(place, given, code):
    if given.get("roleARN"):
        given = {"roleARN": f"arn:aws:iam::{place.house.account}:role/none"}
    recorder = {"name": "default", "roleARN": place.role, **given}
    refused(code, place.config.put_configuration_recorder, ConfigurationRecorder=recorder)


def test_what_is_not_there_is_refused_by_name(place):
    config = place.config
    refused(
        "NoSuchConfigurationRecorderException",
        config.describe_configuration_recorders,
        ConfigurationRecorderNames=["x"],
    )
    refused("NoSuchConfigurationRecorderException", config.stop_configuration_recorder, ConfigurationRecorderName="x")
    refused("NoSuchDeliveryChannelException", config.describe_delivery_channels, DeliveryChannelNames=["x"])
    refused("NoSuchDeliveryChannelException", config.delete_delivery_channel, DeliveryChannelName="x")
    refused(
        "MaxNumberOfDeliveryChannelsExceededException",
        config.put_delivery_channel,
        DeliveryChannel={"name": "x", "s3BucketName": "b"},
    )
    refused("NoSuchBucketException", config.put_delivery_channel, DeliveryChannel={"name": "default"})
    refused("InvalidDeliveryChannelNameException", config.put_delivery_channel, DeliveryChannel={"s3BucketName": "b"})
    for ask in (
        config.describe_config_rules,
        config.describe_compliance_by_config_rule,
        config.describe_config_rule_evaluation_status,
    ):
        assert "'x'" in refused("NoSuchConfigRuleException", ask, ConfigRuleNames=["x"])
    for ask in (
        config.delete_config_rule,
        config.get_compliance_details_by_config_rule,
        config.delete_evaluation_results,
    ):
        refused("NoSuchConfigRuleException", ask, ConfigRuleName="x")
    refused("ResourceNotFoundException", config.list_tags_for_resource, ResourceArn="arn:aws:config:us-east-1:1:config-rule/x")  # fmt: skip


# -- rules ------------------------------------------------------------------------------------------------------------


def test_a_rule_is_described_as_it_was_put(place):
    given = {
        "ConfigRuleName": "unused",
        "Description": "Nobody reads it",
        "Source": {"Owner": "AWS", "SourceIdentifier": UNUSED},
        "InputParameters": '{"unusedForDays":"30"}',
        "MaximumExecutionFrequency": "One_Hour",
    }
    place.config.put_config_rule(ConfigRule=given, Tags=[{"Key": "a", "Value": "b"}])
    (found,) = place.config.describe_config_rules(ConfigRuleNames=["unused"])["ConfigRules"]
    assert {name: found[name] for name in given} == given
    assert (
        found["ConfigRuleArn"] == f"arn:aws:config:us-east-1:{place.house.account}:config-rule/{found['ConfigRuleId']}"
    )
    assert (found["ConfigRuleState"], found["EvaluationModes"]) == ("ACTIVE", [{"Mode": "DETECTIVE"}])
    arn = found["ConfigRuleArn"]
    changed = {"ConfigRuleArn": arn, "Source": given["Source"]}
    place.config.put_config_rule(ConfigRule=changed)  # by its ARN
    (found,) = place.config.describe_config_rules()["ConfigRules"]
    assert (found["ConfigRuleArn"], found["ConfigRuleName"]) == (arn, "unused")
    assert "InputParameters" not in found
    place.config.tag_resource(ResourceArn=arn, Tags=[{"Key": "c", "Value": "d"}])
    place.config.untag_resource(ResourceArn=arn, TagKeys=["a"])
    assert place.config.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "c", "Value": "d"}]
    place.config.delete_config_rule(ConfigRuleName="unused")
    assert place.config.describe_config_rules()["ConfigRules"] == []
    assert place.house.run_jobs() == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"Source": {"Owner": "AWS", "SourceIdentifier": "S3_BUCKET_VERSIONING_ENABLED_X"}},
        {"Source": {"Owner": "AWS", "SourceIdentifier": UNUSED, "SourceDetails": [{"EventSource": "aws.config"}]}},
        {"Source": {"Owner": "CUSTOM_POLICY"}},
        {"InputParameters": "{"},
        {"InputParameters": '{"unusedForDays":30}'},
        {"InputParameters": '{"unusedForDays":"0"}'},
        {"ConfigRuleState": "DELETING"},
        {"CreatedBy": "x"},
        {"EvaluationModes": [{"Mode": "PROACTIVE"}]},
        {"ConfigRuleId": "config-rule-xxxxxx"},
        {"Scope": {"ComplianceResourceId": "x"}},
        {"Scope": {"TagValue": "x"}},
        {"Scope": {"TagKey": "x", "ComplianceResourceTypes": ["AWS::KMS::Key"]}},
    ],
    ids=str,
)
def test_rules_that_cannot_be(place, changes):
    rule = {"ConfigRuleName": "r", "Source": {"Owner": "AWS", "SourceIdentifier": UNUSED}, **changes}
    refused("InvalidParameterValueException", place.config.put_config_rule, ConfigRule=rule)
    assert place.config.describe_config_rules()["ConfigRules"] == []


def test_a_rule_needs_a_name_and_a_recorder(place):
    source = {"Owner": "AWS", "SourceIdentifier": UNUSED}
    refused("InvalidParameterValueException", place.config.put_config_rule, ConfigRule={"Source": source})
    place.config.delete_configuration_recorder(ConfigurationRecorderName="default")
    rule = {"ConfigRuleName": "r", "Source": source}
    refused("NoAvailableConfigurationRecorderException", place.config.put_config_rule, ConfigRule=rule)


def test_rules_come_in_pages_by_name(place):
    names = sorted(f"rule-{number}" for number in range(30))
    for name in names:
        place.rule(UNUSED, name)
    first = place.config.describe_config_rules()
    assert [rule["ConfigRuleName"] for rule in first["ConfigRules"]] == names[:25]
    second = place.config.describe_config_rules(NextToken=first["NextToken"])
    assert [rule["ConfigRuleName"] for rule in second["ConfigRules"]] == names[25:]
    refused(
        "InvalidNextTokenException", place.config.describe_config_rule_evaluation_status, NextToken=first["NextToken"]
    )
    refused("InvalidNextTokenException", place.config.describe_config_rules, NextToken="x")
    pages = place.config.get_paginator("describe_compliance_by_config_rule").paginate()
    assert [each["ConfigRuleName"] for page in pages for each in page["ComplianceByConfigRules"]] == names
    pages = place.config.get_paginator("describe_config_rule_evaluation_status").paginate()
    assert sum(len(page["ConfigRulesEvaluationStatus"]) for page in pages) == 30


def test_another_rule_under_the_same_name_begins_without_verdicts(place, put):
    put("a")
    place.rule(UNUSED)
    place.house.run_jobs()
    assert place.verdicts() == {"a": "COMPLIANT"}
    place.rule(USING_CMK)
    assert place.verdicts() == {}
    place.house.run_jobs()
    assert place.verdicts() == {"a": "NON_COMPLIANT"}
    place.config.delete_evaluation_results(ConfigRuleName="rule")
    assert place.verdicts() == {}


# -- what is told of compliance ---------------------------------------------------------------------------------------


def test_compliance_is_told_from_either_side(place_on_each):
    place, config = place_on_each, place_on_each.config
    key = place.house.client("kms").create_key()["KeyMetadata"]["Arn"]
    arns = {}
    for number in range(30):
        given = {"KmsKeyId": key} if number < 2 else {}
        arns[number] = place.secrets.create_secret(Name=f"s{number:02}", SecretString="x", **given)["ARN"]
    place.rule(USING_CMK, "cmk")
    place.rule(UNUSED, "unused")
    place.rule(USING_CMK, "nothing", Scope={"ComplianceResourceTypes": ["AWS::KMS::Key"]})
    place.house.run_jobs()

    told = {each["ConfigRuleName"]: each["Compliance"] for each in config.describe_compliance_by_config_rule()["ComplianceByConfigRules"]}  # fmt: skip
    assert told == {
        "cmk": {"ComplianceType": "NON_COMPLIANT", "ComplianceContributorCount": {"CappedCount": 25, "CapExceeded": True}},
        "nothing": {"ComplianceType": "INSUFFICIENT_DATA"},
        "unused": {"ComplianceType": "COMPLIANT"},
    }  # fmt: skip
    only = config.describe_compliance_by_config_rule(ComplianceTypes=["COMPLIANT"])["ComplianceByConfigRules"]
    assert [each["ConfigRuleName"] for each in only] == ["unused"]

    pages = config.get_paginator("describe_compliance_by_resource").paginate(PaginationConfig={"PageSize": 7})
    told = {
        each["ResourceId"]: each["Compliance"]["ComplianceType"]
        for page in pages
        for each in page["ComplianceByResources"]
    }
    assert told == {arn: "COMPLIANT" if number < 2 else "NON_COMPLIANT" for number, arn in arns.items()}
    kind = "AWS::SecretsManager::Secret"
    (one,) = config.describe_compliance_by_resource(ResourceType=kind, ResourceId=arns[5])["ComplianceByResources"]
    assert one["Compliance"]["ComplianceContributorCount"] == {"CappedCount": 1, "CapExceeded": False}

    details = config.get_compliance_details_by_resource(ResourceType=kind, ResourceId=arns[5])["EvaluationResults"]
    told = {each["EvaluationResultIdentifier"]["EvaluationResultQualifier"]["ConfigRuleName"]: each["ComplianceType"] for each in details}  # fmt: skip
    assert told == {"cmk": "NON_COMPLIANT", "unused": "COMPLIANT"}
    first = config.get_compliance_details_by_config_rule(ConfigRuleName="cmk")
    assert len(first["EvaluationResults"]) == 10
    assert first["EvaluationResults"][0]["EvaluationResultIdentifier"]["EvaluationResultQualifier"] == {
        "ConfigRuleName": "cmk",
        "ResourceType": kind,
        "ResourceId": arns[0],
        "EvaluationMode": "DETECTIVE",
    }
    summary = config.get_compliance_summary_by_config_rule()["ComplianceSummary"]
    assert summary["CompliantResourceCount"] == summary["NonCompliantResourceCount"] == {"CappedCount": 1, "CapExceeded": False}  # fmt: skip
    (of_all,) = config.get_compliance_summary_by_resource_type()["ComplianceSummariesByResourceType"]
    assert of_all["ComplianceSummary"]["NonCompliantResourceCount"] == {"CappedCount": 28, "CapExceeded": False}
    of_some = config.get_compliance_summary_by_resource_type(ResourceTypes=[kind, "AWS::KMS::Key"])
    counts = [each["ComplianceSummary"]["CompliantResourceCount"]["CappedCount"] for each in of_some["ComplianceSummariesByResourceType"]]  # fmt: skip
    assert counts == [2, 0]


def test_filters_that_cannot_be(place):
    place.rule(UNUSED)
    config, code = place.config, "InvalidParameterValueException"
    refused(
        code, config.get_compliance_details_by_config_rule, ConfigRuleName="rule", ComplianceTypes=["INSUFFICIENT_DATA"]
    )
    refused(code, config.describe_compliance_by_config_rule, ComplianceTypes=["NOT_APPLICABLE"])
    refused(code, config.describe_compliance_by_resource, ResourceId="x")
    refused(code, config.get_compliance_details_by_resource, ResourceType="AWS::KMS::Key")
    refused("ValidationException", config.describe_config_rules, ConfigRuleNames=["a\0b"])


def test_a_change_of_compliance_is_published_as_aws_writes_it(place, put):
    arn = put("a")
    place.rule(UNUSED, "unused", parameters={"unusedForDays": "1"})
    place.house.run_jobs()
    place.house.clock.turn(days=3)
    place.house.run_jobs()
    first, second = (event.detail for event in place.listener.heard)
    assert "oldEvaluationResult" not in first
    rule = place.config.describe_config_rules()["ConfigRules"][0]
    qualifier = {"configRuleName": "unused", "resourceType": "AWS::SecretsManager::Secret", "resourceId": arn, "evaluationMode": "DETECTIVE"}  # fmt: skip
    at = second["notificationCreationTime"]
    assert second == {
        "resourceId": arn,
        "awsRegion": "us-east-1",
        "awsAccountId": place.house.account,
        "configRuleName": "unused",
        "recordVersion": "1.0",
        "configRuleARN": rule["ConfigRuleArn"],
        "messageType": "ComplianceChangeNotification",
        "newEvaluationResult": {
            "evaluationResultIdentifier": {"evaluationResultQualifier": qualifier, "orderingTimestamp": at},
            "complianceType": "NON_COMPLIANT",
            "resultRecordedTime": at,
            "configRuleInvokedTime": at,
            "annotation": "The secret has not been accessed within 1 days.",
        },
        "oldEvaluationResult": first["newEvaluationResult"],
        "notificationCreationTime": at,
        "resourceType": "AWS::SecretsManager::Secret",
    }
    json.dumps(second)


def test_policies_can_name_a_rule(place):
    place.rule(UNUSED, "one")
    place.rule(UNUSED, "two")
    (one,) = place.config.describe_config_rules(ConfigRuleNames=["one"])["ConfigRules"]
    ann = place.house.user("ann", {"Effect": "Allow", "Action": "config:DescribeConfigRules", "Resource": one["ConfigRuleArn"]})  # fmt: skip
    config = place.house.client("config", ann)
    assert config.describe_config_rules(ConfigRuleNames=["one"])["ConfigRules"] == [one]
    there = refused("AccessDeniedException", config.describe_config_rules, ConfigRuleNames=["two"])
    absent = refused("AccessDeniedException", config.describe_config_rules, ConfigRuleNames=["ten"])
    assert there.replace("two", "ten").partition("(")[0] == absent.partition("(")[0]
    refused("AccessDeniedException", config.describe_config_rules)


def test_whoever_hands_a_role_to_config_must_be_allowed_to_pass_it(place):
    ann = place.house.user("ann", {"Effect": "Allow", "Action": "config:*", "Resource": "*"})
    recorder = {"name": "default", "roleARN": place.role}
    said = refused("AccessDeniedException", place.house.client("config", ann).put_configuration_recorder, ConfigurationRecorder=recorder)  # fmt: skip
    assert "iam:PassRole" in said
