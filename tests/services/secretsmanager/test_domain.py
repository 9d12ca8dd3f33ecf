"""Names, ARNs, windows, tags and what is pruned."""

import pytest

from geumgo.errors import ServiceError
from geumgo.services.secretsmanager import domain
from geumgo.services.secretsmanager.records import Address

HERE = {"account": "111122223333", "region": "eu-west-1"}
ARN = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:"

FOUND = [
    ("app/db", "app/db", None),
    (f"{ARN}app/db-a1B2c3", "app/db", "a1B2c3"),
    (f"{ARN}app/db", "app/db", None),
    (f"{ARN}test-Name-a1b2", "test-Name-a1b2", None),
    (f"{ARN}test-Name-a1b2c3", "test-Name", "a1b2c3"),  # taken for a whole ARN, whatever the secret is called
    (f"{ARN}test-Name-a1b2c3-", "test-Name-a1b2c3-", None),
    (f"{ARN}my-secret", "my", "secret"),
    (f"{ARN}{'x' * 512}-abcdef", "x" * 512, "abcdef"),
]


@pytest.mark.parametrize(("secret_id", "name", "suffix"), FOUND)
def test_a_secret_id_leads_to_a_name(secret_id: str, name: str, suffix: str | None) -> None:
    assert domain.parse_secret_id(secret_id, **HERE) == Address(name=name, suffix=suffix, **HERE)


def test_an_arn_leads_into_its_own_account_and_region() -> None:
    foreign = "arn:aws:secretsmanager:us-east-2:999988887777:secret:x-abcdef"
    assert domain.parse_secret_id(foreign, **HERE) == Address("999988887777", "us-east-2", "x", "abcdef")


@pytest.mark.parametrize(
    "secret_id",
    ["", " x", "x ", "a b", "a*", "a?", "a]", "a\\b", "x" * 513, "a\0b", "a\n", "é", "arn:", "arn:aws:s3:::bucket", "arn:aws:secretsmanager:eu-west-1:1:secret:x",
     "arn:aws:secretsmanager:eu-west-1:111122223333:key:x", f"{ARN}", f"{ARN}a b", "arn:aws:secretsmanager::111122223333:secret:x"],
)  # fmt: skip
def test_what_cannot_be_a_name_is_refused_in_awss_words(secret_id: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        domain.parse_secret_id(secret_id, **HERE)
    assert refusal.value.code == "ValidationException"
    assert refusal.value.message == (
        "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@!"
    )


WINDOWS = [({}, 30), ({"RecoveryWindowInDays": 7}, 7), ({"RecoveryWindowInDays": 30}, 30)]
WINDOWS += [
    ({"ForceDeleteWithoutRecovery": False, "RecoveryWindowInDays": 9}, 9),
    ({"ForceDeleteWithoutRecovery": False}, 30),
]


@pytest.mark.parametrize(("params", "days"), WINDOWS)
def test_a_recovery_window_has_seven_to_thirty_days(params: dict[str, object], days: int) -> None:
    assert domain.recovery_window_days(params) == days
    assert domain.recovery_window_days({"ForceDeleteWithoutRecovery": True}) is None


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"RecoveryWindowInDays": 6}, "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."),
        ({"RecoveryWindowInDays": 31}, "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive)."),
        (
            {"RecoveryWindowInDays": -(2**62)},
            "The RecoveryWindowInDays value must be between 7 and 30 days (inclusive).",
        ),
        (
            {"RecoveryWindowInDays": 7, "ForceDeleteWithoutRecovery": True},
            "You can't use ForceDeleteWithoutRecovery in conjunction with RecoveryWindowInDays.",
        ),
    ],
)
def test_other_windows_are_refused(params: dict[str, object], message: str) -> None:
    with pytest.raises(ServiceError) as refusal:
        domain.recovery_window_days(params)
    assert (refusal.value.code, refusal.value.message) == ("InvalidParameterException", message)


@pytest.mark.parametrize(
    "added",
    [
        [{"Key": "aws:x", "Value": ""}],
        [{"Key": "AWS:x", "Value": ""}],
        [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}],
        [{"Key": "a#b", "Value": ""}],
        [{"Key": "a", "Value": "<script>"}],
        [{"Value": "no key"}],
        [{"Key": str(number), "Value": ""} for number in range(51)],
    ],
)
def test_tags_that_break_the_rules_are_refused(added: list[dict[str, str]]) -> None:
    with pytest.raises(ServiceError) as refusal:
        domain.merged_tags(None, added)
    assert refusal.value.code == "InvalidParameterException"


def test_tags_are_merged_by_key() -> None:
    assert domain.merged_tags({"a": "1", "b": "2"}, [{"Key": "b", "Value": "3"}, {"Key": "팀 á", "Value": "+ -=._:/@"}]) == {
        "a": "1", "b": "3", "팀 á": "+ -=._:/@",
    }  # fmt: skip


def test_only_old_versions_without_a_label_beyond_the_newest_hundred_are_pruned() -> None:
    day = domain.DAY_MS
    versions = [(f"v{number:03}", number) for number in range(105)]
    stages = {"kept": "v001"}
    assert domain.prunable(versions[:100], stages, 10 * day) == []
    assert domain.prunable(versions, stages, 10 * day) == ["v000", "v002", "v003", "v004"]
    assert domain.prunable(versions, stages, day + 2) == ["v000", "v002"]
    assert domain.prunable(versions, stages, day - 1) == []
    assert domain.next_pruning_ms(versions, stages) == day
    assert domain.next_pruning_ms(versions[:100], stages) is None


def test_a_key_without_an_arn_is_of_the_secrets_account() -> None:
    where = {"partition": "aws", **HERE}
    assert domain.key_arn("alias/x", **where) == "arn:aws:kms:eu-west-1:111122223333:alias/x"
    assert domain.key_arn("1234", **where) == "arn:aws:kms:eu-west-1:111122223333:key/1234"
    assert domain.key_arn(None, **where) == "arn:aws:kms:eu-west-1:111122223333:alias/aws/secretsmanager"
    assert domain.key_arn("arn:aws:kms:a:b:key/c", **where) == "arn:aws:kms:a:b:key/c"


@pytest.mark.parametrize(
    "given", [None, "", "alias/aws/secretsmanager", "arn:aws:kms:eu-west-1:111122223333:alias/aws/secretsmanager"]
)
def test_the_default_key_has_several_names(given: str | None) -> None:
    assert domain.given_key(given, partition="aws", **HERE) is None
