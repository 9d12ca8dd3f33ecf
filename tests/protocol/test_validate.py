"""The words in which the front of a service says what is wrong with a request."""

import dataclasses
from datetime import UTC, datetime

import pytest

from geumgo.errors import ValidationFailed
from geumgo.protocol import Member, Shape, models, validate

UUID = "11111111-2222-3333-4444-555555555555"


def violations(service: str, operation: str, leave=(), **params) -> str:
    """What `validate` says, "" when all is well."""
    try:
        validate(models.load(service).operations[operation], params, leave)
    except ValidationFailed as refused:
        return refused.message
    return ""


def test_what_fits_the_model_is_not_refused():
    assert violations("secretsmanager", "GetSecretValue", SecretId="app/db", VersionId=UUID) == ""
    assert violations("sts", "GetCallerIdentity") == ""
    assert (
        violations("cloudwatch", "PutMetricData", Namespace="a", MetricData=[{"MetricName": "m", "Value": 0.0}]) == ""
    )


@pytest.mark.parametrize(
    ("service", "operation", "params", "says"),
    [
        (
            "secretsmanager",
            "GetSecretValue",
            {},
            "1 validation error detected: Value null at 'secretId' failed to satisfy constraint: Member must not be null",
        ),
        (
            "secretsmanager",
            "GetRandomPassword",
            {"PasswordLength": 5000},
            (
                "1 validation error detected: Value '5000' at 'passwordLength' failed to satisfy constraint: "
                "Member must have value less than or equal to 4096"
            ),
        ),
        (
            "kms",
            "Encrypt",
            {"KeyId": "k", "Plaintext": b"x" * 4097},
            (
                "1 validation error detected: Value at 'plaintext' failed to satisfy constraint: "
                "Member must have length less than or equal to 4096"
            ),
        ),
        (
            "kms",
            "GenerateDataKey",
            {"KeyId": "k", "NumberOfBytes": 0},
            (
                "1 validation error detected: Value '0' at 'numberOfBytes' failed to satisfy constraint: "
                "Member must have value greater than or equal to 1"
            ),
        ),
        (
            "sts",
            "AssumeRole",
            {"RoleArn": "arn:aws:iam::1:role/ab", "RoleSessionName": "Session1:2"},
            (
                "1 validation error detected: Value 'Session1:2' at 'roleSessionName' failed to satisfy constraint: "
                r"Member must satisfy regular expression pattern: [\w+=,.@-]*"
            ),
        ),
    ],
)
def test_the_words_are_those_recorded_on_aws(service: str, operation: str, params: dict[str, object], says: str):
    assert violations(service, operation, **params) == says


def test_a_member_of_a_list_is_found_by_its_place():
    said = violations("secretsmanager", "ListSecrets", Filters=[{"Key": "name", "Values": ["a"]}, {"Key": "invalid"}])
    assert said.startswith(
        "1 validation error detected: Value 'invalid' at 'filters.2.member.key' failed to satisfy constraint: "
        "Member must satisfy enum value set: [description, name, tag-key, "
    )


def test_scalars_in_a_list_are_reported_once_with_all_that_is_asked_of_them():
    said = violations(
        "lambda",
        "CreateFunction",
        FunctionName="f",
        Role="arn:aws:iam::123456789012:role/r",
        Code={},
        Architectures=["foo"],
    )
    assert said == (
        "1 validation error detected: Value '[foo]' at 'architectures' failed to satisfy constraint: "
        "Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64]]"
    )


def test_keys_and_values_of_a_map_are_reported_once_each():
    context = {"k": "v"}
    assert (
        violations("lambda", "TagResource", Resource="arn:aws:lambda:us-east-1:123456789012:function:f", Tags=context)
        == ""
    )
    said = violations(
        "cloudwatch",
        "PutMetricData",
        Namespace="a",
        MetricData=[{"MetricName": "m", "Dimensions": [{"Name": "", "Value": "v"}]}],
    )
    assert "Value '' at 'metricData.1.member.dimensions.1.member.name' failed" in said
    said = violations(
        "lambda",
        "CreateAlias",
        FunctionName="f",
        Name="a",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": {"2": 1.5}},
    )
    assert said == (
        "1 validation error detected: Value '{2=1.5}' at 'routingConfig.additionalVersionWeights' failed to satisfy "
        "constraint: Map value must satisfy constraint: [Member must have value less than or equal to 1.0, "
        "Member must have value greater than or equal to 0.0]"
    )


def test_several_violations_are_counted_and_joined():
    said = violations("secretsmanager", "GetSecretValue", SecretId="", VersionId="x")
    assert said.startswith("2 validation errors detected: Value '' at 'secretId' failed to satisfy constraint: ")
    assert said.count("; Value 'x' at 'versionId' failed") == 1


def test_a_sensitive_value_is_never_repeated():
    long = "hunter2" * 20_000
    said = violations("secretsmanager", "CreateSecret", Name="a", SecretString=long)
    assert said == (
        "1 validation error detected: Value at 'secretString' failed to satisfy constraint: "
        "Member must have length less than or equal to 65536"
    )


def test_a_sensitive_value_inside_of_one_that_is_repeated_is_redacted():
    roles = {"Key": "k" * 129, "Value": "v"}
    said = violations(
        "events",
        "CreateConnection",
        Name="c",
        AuthorizationType="BASIC",
        AuthParameters={
            "InvocationHttpParameters": {
                "HeaderParameters": [{"Key": "k", "Value": "hunter2", "IsValueSecret": True}] * 101
            }
        },
    )
    assert "'authParameters.invocationHttpParameters.headerParameters' failed" in said
    assert "hunter2" not in said
    assert violations("secretsmanager", "TagResource", SecretId="s", Tags=[roles]).count("tags.1.member.key") == 1


def test_a_value_is_repeated_in_part_and_a_flood_of_violations_only_counted():
    assert len(violations("secretsmanager", "DescribeSecret", SecretId="x" * 500_000)) < 1300
    said = violations("secretsmanager", "TagResource", SecretId="s", Tags=[{"Key": ""}] * 400)
    assert said.startswith("400 validation errors detected: ")
    assert len(said) < 3000


def test_a_member_that_the_service_checks_itself_is_left_alone():
    params = {"SecretId": "s", "RecoveryWindowInDays": 3}
    bounds = violations("secretsmanager", "PutSecretValue", SecretId="s", VersionStages=[])
    assert "versionStages" in bounds
    assert violations("secretsmanager", "PutSecretValue", ("VersionStages",), SecretId="s", VersionStages=[]) == ""
    assert violations("secretsmanager", "DeleteSecret", **params) == ""  # its bounds are not in the model
    assert violations("secretsmanager", "GetSecretValue", ("SecretId",)) == ""
    wrong = [{"Key": "invalid", "Values": ["*"]}]
    assert violations("secretsmanager", "ListSecrets", ("Filters.Key", "Filters.Values"), Filters=wrong) == ""


def test_a_text_must_fit_its_pattern_as_a_whole():
    for expression in ("rate(1 day)\n", "rate(1 day);", ""):
        said = violations(
            "secretsmanager", "RotateSecret", SecretId="s", RotationRules={"ScheduleExpression": expression}
        )
        assert "'rotationRules.scheduleExpression'" in said
    assert (
        violations("secretsmanager", "RotateSecret", SecretId="s", RotationRules={"ScheduleExpression": "rate(1 day)"})
        == ""
    )


def test_lengths_are_those_of_characters_in_text_and_of_bytes_in_blobs():
    assert violations("secretsmanager", "CreateSecret", Name="a", Description="\N{KEY}" * 2048) == ""
    assert "2048" in violations("secretsmanager", "CreateSecret", Name="a", Description="\N{KEY}" * 2049)
    assert violations("secretsmanager", "CreateSecret", Name="a", SecretBinary=b"\xff" * 65536) == ""


def test_a_structure_in_a_map_is_found_by_its_key():
    key, text = Shape("Key", "string", high=2048), Shape("Text", "string", low=1)
    inner = Shape("Inner", "structure", members={"Text": Member("Text", "Text", text)}, required=("Text",))
    entries = Shape("Map", "map", key=Member("key", "key", key), value=Member("value", "value", inner))
    taken = Shape("Input", "structure", members={"Entries": Member("Entries", "Entries", entries)})
    operation = dataclasses.replace(models.load("sts").operations["GetCallerIdentity"], input=taken)
    with pytest.raises(ValidationFailed) as refused:
        validate(operation, {"Entries": {"a": {}, "b" * 2048: {"Text": ""}}})
    missing, empty = refused.value.message.removeprefix("2 validation errors detected: ").split("; ")
    assert missing == "Value null at 'entries.a.member.text' failed to satisfy constraint: Member must not be null"
    assert empty.startswith(f"Value '' at 'entries.{'b' * 1024}.member.text' failed")
    validate(operation, {"Entries": {"a": {"Text": "x"}}}, leave=())
    validate(operation, {"Entries": {"a": {}}}, leave=("Entries.Text",))


def test_moments_have_no_bounds():
    params = {"StartTime": datetime(2025, 1, 1, tzinfo=UTC)}
    assert violations("cloudtrail", "LookupEvents", **params) == ""


def test_the_model_is_not_changed_by_use():
    model = models.load("kms").operations["Encrypt"].input
    assert model is not None
    before = dataclasses.replace(model)
    violations("kms", "Encrypt", KeyId="", Plaintext=b"")
    assert (before.low, before.high, before.required) == (model.low, model.high, model.required)
