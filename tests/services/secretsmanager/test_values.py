"""Reading and writing values."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.house import House
from tests.services.secretsmanager.asking import DELETED, EVERYTHING, NO_SECRET, put, refused, token


@pytest.fixture
def s(sm: Any) -> str:
    """The ARN of a secret called `s` whose first value is 0."""
    arn: str = sm.create_secret(Name="s", SecretString="0", ClientRequestToken=token(0))["ARN"]
    return arn


def test_a_value_comes_back_as_it_was_given(house_on_each: House) -> None:
    sm = house_on_each.client("secretsmanager")
    text = sm.create_secret(Name="text", SecretString='{"k": "값\\n"}', ClientRequestToken=token(0))
    answer = sm.get_secret_value(SecretId="text")
    assert {k: v for k, v in answer.items() if k not in ("ResponseMetadata", "CreatedDate")} == {
        "ARN": text["ARN"], "Name": "text", "VersionId": token(0), "SecretString": '{"k": "값\\n"}', "VersionStages": ["AWSCURRENT"],
    }  # fmt: skip
    sm.create_secret(Name="binary", SecretBinary=bytes(range(256)))
    answer = sm.get_secret_value(SecretId="binary")
    assert answer["SecretBinary"] == bytes(range(256))
    assert "SecretString" not in answer


def test_a_value_has_at_most_65536_bytes(sm: Any, s: str) -> None:
    put_text = {"SecretString": "가" * 21_845 + "x"}
    sm.put_secret_value(SecretId="s", **put_text)
    with refused(
        "ValidationException",
        "1 validation error detected: Value at 'secretString' failed to satisfy constraint: Member must have length less than or equal to 65536",
    ):
        sm.put_secret_value(SecretId="s", SecretString=put_text["SecretString"] + "x")
    sm.put_secret_value(SecretId="s", SecretBinary=b"x" * 65_536)
    with refused("ValidationException"):
        sm.put_secret_value(SecretId="s", SecretBinary=b"x" * 65_537)


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"SecretId": "t"}, "ResourceNotFoundException", NO_SECRET),
    ({"VersionStage": "AWSPREVIOUS"}, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: AWSPREVIOUS"),
    ({"VersionId": token(9)}, "ResourceNotFoundException", f"Secrets Manager can't find the specified secret value for VersionId: {token(9)}"),
    ({"VersionId": token(9), "VersionStage": "AWSCURRENT"}, "ResourceNotFoundException", f"Secrets Manager can't find the specified secret value for VersionId: {token(9)}"),
    ({"VersionId": token(0), "VersionStage": "x"}, "InvalidRequestException", "You provided a VersionStage that is not associated to the provided VersionId."),
]  # fmt: skip


@pytest.mark.parametrize(("params", "code", "message"), REFUSED)
def test_a_value_that_is_not_there_is_refused_in_awss_words(
    sm: Any, s: str, params: dict[str, Any], code: str, message: str
) -> None:
    with refused(code, message):
        sm.get_secret_value(**{"SecretId": "s", **params})


def test_a_version_is_read_by_id_and_label_if_they_agree(sm: Any, s: str) -> None:
    put(sm, 1)
    assert sm.get_secret_value(SecretId="s", VersionId=token(0), VersionStage="AWSPREVIOUS")["SecretString"] == "0"
    assert sm.get_secret_value(SecretId="s", VersionId=token(1))["SecretString"] == "1"


def test_a_repeated_put_is_one_version_and_another_value_is_refused(sm: Any, s: str) -> None:
    first = sm.put_secret_value(SecretId="s", SecretString="1", ClientRequestToken=token(1))
    second = sm.put_secret_value(SecretId="s", SecretString="1", ClientRequestToken=token(1))
    assert first["VersionStages"] == second["VersionStages"] == ["AWSCURRENT"]
    assert sm.update_secret(SecretId="s", SecretString="1", ClientRequestToken=token(1))["VersionId"] == token(1)
    words = (
        f"You can't use ClientRequestToken {token(1)} because that value is already in use for a version of secret {s}."
    )
    for change in (sm.put_secret_value, sm.update_secret):
        with refused("ResourceExistsException", words):
            change(SecretId="s", SecretString="other", ClientRequestToken=token(1))
        with refused("ResourceExistsException", words):
            change(SecretId="s", SecretBinary=b"1", ClientRequestToken=token(1))
    assert len(sm.list_secret_version_ids(SecretId="s", IncludeDeprecated=True)["Versions"]) == 2


def test_the_same_value_under_a_new_token_is_a_new_version(sm: Any, s: str) -> None:
    sm.put_secret_value(SecretId="s", SecretString="0", ClientRequestToken=token(1))
    assert sm.get_secret_value(SecretId="s")["VersionId"] == token(1)


def test_both_kinds_of_value_or_none_are_refused(sm: Any, s: str) -> None:
    words = "You can’t specify both a binary secret value and a string secret value in the same secret."
    for ask in (
        lambda: sm.create_secret(Name="new", SecretString="x", SecretBinary=b"x"),
        lambda: sm.put_secret_value(SecretId="s", SecretString="x", SecretBinary=b"x"),
        lambda: sm.update_secret(SecretId="s", SecretString="x", SecretBinary=b"x"),
    ):
        with refused("InvalidParameterException", words):
            ask()
    with refused("InvalidRequestException", "You must provide either SecretString or SecretBinary."):
        sm.put_secret_value(SecretId="s")


def test_the_day_of_use_is_a_date_and_only_reading_leaves_it(sm: Any, house: House, s: str) -> None:
    put(sm, 1)
    sm.describe_secret(SecretId="s")
    assert "LastAccessedDate" not in sm.describe_secret(SecretId="s")
    sm.get_secret_value(SecretId="s")
    day = datetime.fromtimestamp(house.clock.now_ms() / 1000, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    assert sm.describe_secret(SecretId="s")["LastAccessedDate"] == day
    assert sm.list_secrets()["SecretList"][0]["LastAccessedDate"] == day
    dates = {v["VersionId"]: v.get("LastAccessedDate") for v in sm.list_secret_version_ids(SecretId="s")["Versions"]}
    assert dates == {token(0): None, token(1): day}
    house.clock.turn(days=2)
    sm.get_secret_value(SecretId="s", VersionId=token(0))
    assert (sm.describe_secret(SecretId="s")["LastAccessedDate"] - day).days == 2


def test_a_second_read_on_a_day_writes_nothing(sm: Any, house: House, s: str) -> None:
    sm.get_secret_value(SecretId="s")
    mark = house.app.storage.mark()
    sm.get_secret_value(SecretId="s")
    assert house.app.storage.mark() == mark


def test_a_batch_gives_values_and_refusals_side_by_side(sm: Any, s: str) -> None:
    sm.create_secret(Name="empty")
    sm.create_secret(Name="gone", SecretString="x")
    sm.delete_secret(SecretId="gone")
    answer = sm.batch_get_secret_value(SecretIdList=["s", "none", "empty", "gone", "bad name"])
    assert [(v["Name"], v["SecretString"], v["VersionStages"]) for v in answer["SecretValues"]] == [
        ("s", "0", ["AWSCURRENT"])
    ]
    assert [(e["SecretId"], e["ErrorCode"], e["Message"][:40]) for e in answer["Errors"]] == [
        ("none", "ResourceNotFoundException", NO_SECRET[:40]),
        ("empty", "ResourceNotFoundException", "Secrets Manager can't find the specified"),
        ("gone", "InvalidRequestException", DELETED[:40]),
        ("bad name", "ValidationException", "Invalid name. Must be a valid name conta"),
    ]


def test_a_batch_asks_for_each_secret_as_the_caller(house: House, sm: Any, s: str) -> None:
    sm.create_secret(Name="t", SecretString="1")
    ann = house.user(
        "ann",
        {"Effect": "Allow", "Action": ["secretsmanager:BatchGetSecretValue"], "Resource": "*"},
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": f"{s[:-7]}-??????"},
    )
    answer = house.client("secretsmanager", ann).batch_get_secret_value(SecretIdList=["s", "t"])
    assert [value["Name"] for value in answer["SecretValues"]] == ["s"]
    assert [(error["SecretId"], error["ErrorCode"]) for error in answer["Errors"]] == [("t", "AccessDeniedException")]
    with refused("AccessDeniedException"):
        house.client("secretsmanager", ann).batch_get_secret_value(Filters=[{"Key": "name", "Values": ["s"]}])
    calls = [
        r for r in house.trail() if r["eventName"] == "GetSecretValue" and r["userIdentity"].get("userName") == "ann"
    ]
    assert len(calls) == 2


def test_a_batch_by_filter_comes_in_pages(sm: Any, house: House) -> None:
    for number in range(5):
        house.clock.turn(ms=1)
        sm.create_secret(Name=f"page/{number}", SecretString=str(number))
    sm.create_secret(Name="other", SecretString="x")
    asked: dict[str, Any] = {"Filters": [{"Key": "name", "Values": ["page/"]}], "MaxResults": 2}
    values: list[str] = []
    while True:
        page = sm.batch_get_secret_value(**asked)
        values += [value["SecretString"] for value in page["SecretValues"]]
        if "NextToken" not in page:
            break
        asked["NextToken"] = page["NextToken"]
    assert values == ["0", "1", "2", "3", "4"]


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "Either 'SecretIdList' or 'Filters' must be provided, but not both."),
        (
            {"SecretIdList": ["s"], "Filters": [{"Key": "name", "Values": ["s"]}]},
            "Either 'SecretIdList' or 'Filters' must be provided, but not both.",
        ),
        (
            {"SecretIdList": ["s"], "MaxResults": 3},
            "'Filters' not specified. 'Filters' must also be specified when 'MaxResults' is provided.",
        ),
    ],
)
def test_a_batch_needs_one_way_to_choose(sm: Any, params: dict[str, Any], message: str) -> None:
    with refused("InvalidParameterException", message):
        sm.batch_get_secret_value(**params)


def test_a_secret_that_is_written_too_often_takes_no_more(
    sm: Any, house: House, s: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from geumgo.services.secretsmanager import domain

    monkeypatch.setattr(domain, "MOST_VERSIONS", 3)
    put(sm, 1)
    put(sm, 2)
    put(sm, 2)
    with refused("LimitExceededException"):
        put(sm, 3)


def test_old_versions_are_pruned_and_labelled_ones_stay(house_on_each: House) -> None:
    house = house_on_each
    sm = house.client("secretsmanager")
    sm.create_secret(Name="s", SecretString="0", ClientRequestToken=token(0))
    sm.update_secret_version_stage(SecretId="s", VersionStage="kept", MoveToVersionId=token(0))
    for number in range(1, 104):
        house.clock.turn(ms=1)
        put(sm, number)
    house.run_jobs()
    assert versions(sm) == {token(number) for number in range(104)}
    house.clock.turn(days=1)
    house.run_jobs()
    assert versions(sm) == {token(0)} | {token(number) for number in range(4, 104)}
    gone = [
        r["additionalEventData"]["SecretVersionId"] for r in house.trail() if r["eventName"] == "SecretVersionDeletion"
    ]
    assert gone == [token(number) for number in range(1, 4)]
    with refused("ResourceNotFoundException"):
        sm.get_secret_value(SecretId="s", VersionId=token(1))
    assert sm.get_secret_value(SecretId="s", VersionStage="kept")["SecretString"] == "0"


def versions(sm: Any) -> set[str]:
    pages: list[str] = []
    asked: dict[str, Any] = {}
    while True:
        page = sm.list_secret_version_ids(SecretId="s", IncludeDeprecated=True, **asked)
        pages += [v["VersionId"] for v in page["Versions"]]
        if "NextToken" not in page:
            return set(pages)
        asked = {"NextToken": page["NextToken"]}


def test_no_value_reaches_the_trail(sm: Any, house: House, s: str) -> None:
    sm.put_secret_value(SecretId="s", SecretString="cAnArY", ClientRequestToken=token(1), RotationToken="r0tat1on-" * 4)
    sm.get_secret_value(SecretId="s")
    with refused("ResourceExistsException"):
        sm.put_secret_value(SecretId="s", SecretString="cAnArY2", ClientRequestToken=token(1))
    house.client("secretsmanager", house.user("eve", EVERYTHING)).get_secret_value(SecretId="s")
    assert "cAnArY" not in str(house.trail())
    assert "r0tat1on" not in str(house.trail())
