"""P12: a principal without a policy is denied on every operation of every room. The operations are enumerated, not listed."""

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.house import House

NEEDS_NO_PERMISSION = {
    (
        "sts",
        "GetCallerIdentity",
    ),  # "No permissions are required to perform this operation": one may always ask who one is
    (
        "sts",
        "GetSessionToken",
    ),  # likewise; what it gives is the caller's own rights or less, and only to a caller with a long-term key
}
DENIALS = {"AccessDeniedException", "AccessDenied"}
CANDIDATES = [
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "arn:aws:iam::123456789012:role/some-role-name", "1234abcd-12ab-34cd-56ef-1234567890ab", "alias/some",
    "https://idp.example.org", "us-west-2", "123456789012", "123456", "AKIAIOSFODNN7EXAMPLE", "ec2.amazonaws.com", "x", "{}", "/x/", "v1",
    "arn:aws:events:us-east-1:123456789012:connection/some/x1",
    "lambda:InvokeFunction", "arn:aws:lambda:us-east-1:123456789012:function:some",
    "arn:aws:lambda:us-east-1:123456789012:layer:some:1",
]  # fmt: skip


def string(shape: Any) -> str:
    if shape.enum:
        return str(shape.enum[0])
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", 1 << 20)
    pattern = shape.metadata.get("pattern")
    for candidate in CANDIDATES:
        text = candidate if len(candidate) >= least else candidate * least
        text = text[: most if len(text) > most and pattern is None else None]
        if least <= len(text) <= most and (pattern is None or re.fullmatch(pattern_of(pattern), text)):
            return text
    raise AssertionError(f"no candidate fits {shape.name}: {shape.metadata}")


def pattern_of(pattern: str) -> str:
    return pattern.replace("\\p{L}", "\\w").replace("\\p{Z}", " ").replace("\\p{N}", "0-9").replace("\\p{LD}", "\\w")


def smallest(shape: Any) -> Any:
    """The smallest value that the model accepts for `shape`: required members only."""
    match shape.type_name:
        case "structure":
            return {name: smallest(shape.members[name]) for name in shape.required_members}
        case "list":
            return [smallest(shape.member) for _ in range(max(shape.metadata.get("min", 0), 1))]
        case "map":
            return {string(shape.key): smallest(shape.value)}
        case "string":
            return string(shape)
        case "blob":
            return b"x" * max(shape.metadata.get("min", 1), 1)
        case "boolean":
            return False
        case "timestamp":
            return 1_700_000_000
        case "integer" | "long" | "float" | "double":
            return max(shape.metadata.get("min", 1), 1)
    raise AssertionError(f"{shape.name} is a {shape.type_name}")


def test_every_operation_of_every_room_is_denied_without_a_policy(house: House) -> None:
    nobody = house.user("nobody")
    kms = house.client("kms")
    sealed = kms.encrypt(KeyId=kms.create_key()["KeyMetadata"]["KeyId"], Plaintext=b"x")["CiphertextBlob"]
    needed = {
        ("kms", "Decrypt"): {"CiphertextBlob": sealed},  # optional in the model, for calls with an attestation document
        ("sts", "AssumeRole"): {"RoleArn": f"arn:aws:iam::{house.account}:role/some"},
        ("rds", "AddTagsToResource"): {"Tags": [{"Key": "a"}]},  # a list of nothing is not sent
        ("redshift", "CreateTags"): {"Tags": [{"Key": "a"}]},
    }
    reachable, seen = [], 0
    for service, room in sorted(house.app.rooms.items()):
        client = house.client(service, nobody)
        for name in sorted(room.operations):
            seen += 1
            if room.operations[name].access.unsigned:
                continue
            model = client.meta.service_model.operation_model(name)
            params = smallest(model.input_shape) if model.input_shape is not None else {}
            params |= needed.get((service, name), {})
            try:
                client._make_api_call(name, params)
            except ClientError as refusal:
                if refusal.response["Error"]["Code"] not in DENIALS:
                    reachable.append((service, name, str(refusal)))
            else:
                reachable.append((service, name, "answered"))
    assert seen > 100, "the rooms are hardly there"
    unexpected = [entry for entry in reachable if entry[:2] not in NEEDS_NO_PERMISSION]
    assert not unexpected, "\n".join(f"{service}:{name}: {what}" for service, name, what in unexpected)
    assert {entry[:2] for entry in reachable} == NEEDS_NO_PERMISSION


def test_the_same_operations_are_not_all_refused_to_an_administrator(house: House) -> None:
    """The honest twin: refusing everything would pass the test above."""
    for service, name in [
        ("secretsmanager", "ListSecrets"),
        ("kms", "ListKeys"),
        ("iam", "ListUsers"),
        ("sts", "GetCallerIdentity"),
    ]:
        house.client(service)._make_api_call(name, {})


def test_no_setting_turns_the_gate_off() -> None:
    from dataclasses import fields

    from geumgo.settings import Settings

    suspicious = [
        f.name
        for f in fields(Settings)
        if re.search(r"enforce|permissive|insecure|disable|skip|allow_all|no_auth", f.name)
    ]
    assert not suspicious


@pytest.mark.parametrize("denied", ["secretsmanager:GetSecretValue", "kms:Decrypt"])
def test_an_explicit_deny_is_stronger_than_an_administrator(house: House, denied: str) -> None:
    house.client("secretsmanager").create_secret(Name="kept", SecretString="x")
    ann = house.user(
        "ann",
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": denied, "Resource": "*"},
    )
    with pytest.raises(ClientError) as refused:
        house.client("secretsmanager", ann).get_secret_value(SecretId="kept")
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
