"""Trails themselves: what may be asked of them, what is refused, who may."""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from geumgo.services.cloudtrail.domain_trails import (
    digest_object,
    is_bucket_name,
    is_prefix,
    log_object,
    problem_of_name,
    selects,
)
from tests.house import House


@pytest.fixture
def trail(house: House) -> Any:
    return house.client("cloudtrail")


def refusal(call: Any, *, text: str = "", **params: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**params)
    assert text in caught.value.response["Error"]["Message"]
    return str(caught.value.response["Error"]["Code"])


def test_a_trail_from_its_first_day_to_its_last(house: House, trail: Any) -> None:
    made = trail.create_trail(Name="main", S3BucketName="audit-bucket", TagsList=[{"Key": "team", "Value": "a"}])
    arn = f"arn:aws:cloudtrail:us-east-1:{house.account}:trail/main"
    assert made["TrailARN"] == arn
    assert (made["IncludeGlobalServiceEvents"], made["IsMultiRegionTrail"], made["LogFileValidationEnabled"]) == (
        True,
        False,
        False,
    )
    assert trail.get_trail_status(Name="main")["IsLogging"] is False
    trail.start_logging(Name=arn)
    trail.start_logging(Name="main")
    assert trail.get_trail_status(Name="main")["IsLogging"] is True
    changed = trail.update_trail(Name="main", S3KeyPrefix="p/q", EnableLogFileValidation=True)
    assert (changed["S3KeyPrefix"], changed["LogFileValidationEnabled"]) == ("p/q", True)
    described = trail.get_trail(Name=arn)["Trail"]
    assert described == trail.describe_trails(trailNameList=["main"])["trailList"][0]
    assert described["HomeRegion"] == "us-east-1"
    assert described["HasCustomEventSelectors"] is False
    assert trail.list_trails()["Trails"] == [{"TrailARN": arn, "Name": "main", "HomeRegion": "us-east-1"}]
    trail.stop_logging(Name="main")
    status = trail.get_trail_status(Name="main")
    assert status["IsLogging"] is False
    assert status["StopLoggingTime"] >= status["StartLoggingTime"]
    trail.delete_trail(Name="main")
    assert trail.describe_trails()["trailList"] == []
    expected = f"Unknown trail: {arn} for the user: {house.account}"
    assert refusal(trail.get_trail, Name="main", text=expected) == "TrailNotFoundException"


def test_what_is_refused(house: House, trail: Any) -> None:
    create = trail.create_trail
    assert refusal(create, Name="ab", S3BucketName="bucket", text="too short") == "InvalidTrailNameException"
    assert refusal(create, Name="a..b", S3BucketName="bucket") == "InvalidTrailNameException"
    assert refusal(create, Name="main", S3BucketName="Bucket") == "InvalidS3BucketNameException"
    assert refusal(create, Name="main", S3BucketName="../../etc") == "InvalidS3BucketNameException"
    assert refusal(create, Name="main", S3BucketName="bucket", S3KeyPrefix="../x") == "InvalidS3PrefixException"
    for member in ("SnsTopicName", "KmsKeyId", "CloudWatchLogsLogGroupArn"):
        asked = {"Name": "main", "S3BucketName": "bucket", member: "x"}
        assert refusal(create, **asked) == "UnsupportedOperationException"
    asked = {"Name": "main", "S3BucketName": "bucket"}
    assert refusal(create, **asked, IsOrganizationTrail=True) == "OrganizationsNotInUseException"
    both: Any = {"IsMultiRegionTrail": True, "IncludeGlobalServiceEvents": False}
    assert refusal(create, **asked, **both) == "InvalidParameterCombinationException"
    create(**asked)
    assert refusal(create, **asked) == "TrailAlreadyExistsException"
    for number in range(4):
        create(Name=f"more{number}", S3BucketName="bucket")
    assert refusal(create, Name="sixth", S3BucketName="bucket") == "MaximumNumberOfTrailsExceededException"
    assert refusal(trail.get_trail, Name="arn:aws:cloudtrail:us-east-1:1:nothing") == "CloudTrailARNInvalidException"
    other = "arn:aws:cloudtrail:us-east-1:444455556666:trail/main"
    assert refusal(trail.get_trail, Name=other) in ("TrailNotFoundException", "AccessDeniedException")


def test_selectors(house: House, trail: Any) -> None:
    trail.create_trail(Name="main", S3BucketName="bucket")
    assert trail.get_event_selectors(TrailName="main")["EventSelectors"][0]["ReadWriteType"] == "All"
    put: Any = trail.put_event_selectors
    advanced = [{"Name": "writes", "FieldSelectors": [
        {"Field": "eventCategory", "Equals": ["Management"]}, {"Field": "readOnly", "Equals": ["false"]}]}]  # fmt: skip
    assert put(TrailName="main", AdvancedEventSelectors=advanced)["AdvancedEventSelectors"] == advanced
    assert "EventSelectors" not in trail.get_event_selectors(TrailName="main")
    assert trail.get_trail(Name="main")["Trail"]["HasCustomEventSelectors"] is True
    put(TrailName="main", EventSelectors=[{"ReadWriteType": "ReadOnly"}])
    shown = trail.get_event_selectors(TrailName="main")
    assert shown["EventSelectors"][0]["IncludeManagementEvents"] is True
    assert "AdvancedEventSelectors" not in shown
    wrongs: list[Any] = [
        {},
        {"EventSelectors": [{}] * 6},
        {"EventSelectors": [{"ExcludeManagementEventSources": ["iam.amazonaws.com"]}]},
        {"EventSelectors": [{"DataResources": [{"Type": "AWS::SecretsManager::Secret", "Values": ["x"]}]}]},
        {"EventSelectors": [{}], "AdvancedEventSelectors": advanced},
        {"AdvancedEventSelectors": [{"FieldSelectors": [{"Field": "readOnly", "Equals": ["true"]}]}]},
        {"AdvancedEventSelectors": [{"FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Management"]}, {"Field": "colour", "Equals": ["red"]}]}]},
        {"AdvancedEventSelectors": [{"FieldSelectors": [
            {"Field": "eventCategory", "Equals": ["Management"]}, {"Field": "readOnly", "StartsWith": ["t"]}]}]},
    ]  # fmt: skip
    for wrong in wrongs:
        assert refusal(put, TrailName="main", **wrong) == "InvalidEventSelectorsException", wrong


def test_tags(house: House, trail: Any) -> None:
    arn = trail.create_trail(Name="main", S3BucketName="bucket", TagsList=[{"Key": "a", "Value": "1"}])["TrailARN"]
    trail.add_tags(ResourceId=arn, TagsList=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "3"}])
    listed = trail.list_tags(ResourceIdList=[arn])["ResourceTagList"]
    assert listed == [{"ResourceId": arn, "TagsList": [{"Key": "a", "Value": "3"}, {"Key": "b", "Value": "2"}]}]
    trail.remove_tags(ResourceId=arn, TagsList=[{"Key": "a"}])
    assert trail.list_tags(ResourceIdList=[arn])["ResourceTagList"][0]["TagsList"] == [{"Key": "b", "Value": "2"}]
    assert refusal(trail.add_tags, ResourceId=arn, TagsList=[{"Key": "aws:x"}]) == "InvalidTagParameterException"
    many = [{"Key": f"k{number}", "Value": ""} for number in range(60)]
    many = [{"Key": each["Key"], "Value": "v"} for each in many]
    assert refusal(trail.add_tags, ResourceId=arn, TagsList=many) == "TagsLimitExceededException"
    store = f"arn:aws:cloudtrail:us-east-1:{house.account}:eventdatastore/x"
    assert refusal(trail.list_tags, ResourceIdList=[store]) == "ResourceTypeNotSupportedException"


def test_who_may(house: House, trail: Any) -> None:
    arn = trail.create_trail(Name="main", S3BucketName="bucket", TagsList=[{"Key": "team", "Value": "a"}])["TrailARN"]
    trail.create_trail(Name="other", S3BucketName="bucket")
    ann = house.user(
        "ann",
        {"Effect": "Allow", "Action": ["cloudtrail:StopLogging", "cloudtrail:GetTrail"], "Resource": arn},
        {"Effect": "Allow", "Action": "cloudtrail:CreateTrail", "Resource": "*"},
        {"Effect": "Allow", "Action": "cloudtrail:GetTrailStatus", "Resource": "*",
         "Condition": {"StringEquals": {"aws:ResourceTag/team": "a"}}},
    )  # fmt: skip
    client = house.client("cloudtrail", ann)
    client.get_trail(Name="main")
    client.stop_logging(Name=arn)
    client.get_trail_status(Name="main")
    denied = "AccessDeniedException"
    assert refusal(client.get_trail_status, Name="other") == denied
    assert refusal(client.get_trail, Name="other") == denied
    assert refusal(client.get_trail, Name="absent") == denied
    assert refusal(client.start_logging, Name="main") == denied
    client.create_trail(Name="third", S3BucketName="bucket")
    tags = [{"Key": "a", "Value": "b"}]
    assert refusal(client.create_trail, Name="fourth", S3BucketName="bucket", TagsList=tags) == denied


def test_a_row_that_was_edited_fails_closed(house: House, trail: Any) -> None:
    trail.create_trail(Name="main", S3BucketName="bucket")
    with house.app.storage.writing() as tx:
        ((described,),) = tx.all("SELECT described FROM cloudtrail_trail")
        tx.run("UPDATE cloudtrail_trail SET described = :d", d=described.replace("bucket", "../../x", 1))
    with pytest.raises(ClientError) as caught:
        trail.get_trail(Name="main")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500


@pytest.mark.parametrize(
    "name", ["", "ab", "-abc", "abc-", "a--b", "a._b", "192.168.5.4", "a b c", "x" * 129, "äbc", "a/b/c", "a\nb"]
)
def test_names_that_are_none(name: str) -> None:
    assert problem_of_name(name)


def test_names_that_are() -> None:
    assert not any(map(problem_of_name, ("abc", "My.Trail_1", "x" * 128, "1-2")))
    assert is_bucket_name("my-bucket.logs")
    for bad in ("ab", "a..b", "../x", "-abc", "a/b", "192.168.5.4", "Abc", "a" * 64, "abc\n"):
        assert not is_bucket_name(bad), bad
    assert is_prefix("team/a.b-c")
    for bad in ("/a", "a/", "a//b", "..", "a/../b", ".", "a\0b", "a\nb", "x" * 201, "a/.../b"):
        assert not is_prefix(bad), bad
    assert (
        log_object("", "1", "r", 0, "U") == "AWSLogs/1/CloudTrail/r/1970/01/01/1_CloudTrail_r_19700101T0000Z_U.json.gz"
    )
    assert digest_object("p", "1", "r", "t", "h", 5) == (
        "p/AWSLogs/1/CloudTrail-Digest/r/1970/01/01/1_CloudTrail-Digest_r_t_h_19700101T000005Z.json.gz"
    )


RECORD = {
    "eventCategory": "Management", "managementEvent": True, "eventSource": "kms.amazonaws.com", "eventName": "Decrypt", "readOnly": True,
    "resources": [{"ARN": "arn:aws:kms:r:1:key/k", "type": "AWS::KMS::Key"}], "userIdentity": {"arn": "arn:aws:iam::1:user/ann"},
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], True),
        ([{"Field": "readOnly", "Equals": ["true"]}], True),
        ([{"Field": "readOnly", "Equals": ["false"]}], False),
        ([{"Field": "eventSource", "NotEquals": ["kms.amazonaws.com"]}], False),
        ([{"Field": "eventSource", "NotEquals": ["iam.amazonaws.com"]}], True),
        ([{"Field": "eventName", "StartsWith": ["De"]}, {"Field": "eventName", "EndsWith": ["crypt"]}], True),
        ([{"Field": "eventName", "StartsWith": ["En"]}], False),
        ([{"Field": "eventName", "NotStartsWith": ["De"]}], False),
        ([{"Field": "eventName", "NotEndsWith": ["x", "y"]}], True),
        ([{"Field": "resources.ARN", "StartsWith": ["arn:aws:kms"]}], True),
        ([{"Field": "userIdentity.arn", "Equals": ["arn:aws:iam::1:user/bob"]}], False),
        ([{"Field": "sessionCredentialFromConsole", "Equals": ["true"]}], False),
        ([{"Field": "sessionCredentialFromConsole", "NotEquals": ["true"]}], True),
    ],
)
def test_what_advanced_selectors_select(fields: list[dict[str, Any]], expected: bool) -> None:
    selector = {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}, *fields]}
    assert selects(None, [selector], RECORD) is expected


def test_what_basic_selectors_select() -> None:
    assert selects(None, None, RECORD)
    assert selects([{"ReadWriteType": "ReadOnly"}], None, RECORD)
    assert not selects([{"ReadWriteType": "WriteOnly"}], None, RECORD)
    assert not selects([{"ExcludeManagementEventSources": ["kms.amazonaws.com"]}], None, RECORD)
    assert not selects([{"IncludeManagementEvents": False}], None, RECORD)
    assert selects([{"ReadWriteType": "WriteOnly"}, {"ReadWriteType": "All"}], None, RECORD)
