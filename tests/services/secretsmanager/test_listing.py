"""ListSecrets: filters, order, pages."""

from typing import Any

import pytest

from geumgo.services.secretsmanager import listing
from geumgo.services.secretsmanager.domain_filters import matches
from geumgo.services.secretsmanager.records import Secret
from tests.house import House
from tests.services.secretsmanager.asking import refused

SECRET = Secret(
    id="", partition="aws", account="", region="", name="prod/AppBeta/key", suffix="abcdef", created_token="", created_at_ms=0, changed_at_ms=0,
    description="One and Two", tags={"Team": "Blue", "cost": "12"}, owning_service="rds",
)  # fmt: skip

FILTERS: list[tuple[str, list[str], bool]] = [
    ("name", ["prod/App"], True),
    ("name", ["prod/app"], False),
    ("name", ["App"], False),
    ("name", ["!prod"], False),
    ("name", ["!other"], True),
    ("name", ["other", "prod"], True),
    ("tag-key", ["Te"], True),
    ("tag-key", ["te"], False),
    ("tag-key", ["!Te"], False),
    ("tag-value", ["Bl"], True),
    ("tag-value", ["lue"], False),
    ("owning-service", ["RD"], True),
    ("primary-region", ["us"], False),
    ("primary-region", ["!us"], True),
    ("description", ["one two"], True),
    ("description", ["o t"], True),
    ("description", ["wo"], False),
    ("description", ["appbeta"], False),
    ("all", ["AppBeta"], True),
    ("all", ["Beta"], True),
    ("all", ["blue"], True),
    ("all", ["eta"], False),
    ("all", ["+"], False),
    ("all", ["!blue"], False),
    ("all", ["zzz", "!two"], False),
    ("all", ["one", "!two"], True),
]


@pytest.mark.parametrize(("key", "values", "fits"), FILTERS)
def test_a_filter_means_what_it_means_on_aws(key: str, values: list[str], fits: bool) -> None:
    assert matches(SECRET, [{"Key": key, "Values": values}]) is fits


def test_values_are_alternatives_and_filters_all_hold() -> None:
    blue, prod, none = (
        {"Key": "tag-value", "Values": ["Blue"]},
        {"Key": "name", "Values": ["prod"]},
        {"Key": "name", "Values": ["x"]},
    )
    assert matches(SECRET, [blue, prod])
    assert not matches(SECRET, [blue, none])
    assert not matches(SECRET, [prod, none])
    assert matches(SECRET, [])


@pytest.mark.parametrize(
    ("filters", "message"),
    [([{"Values": ["x"]}], "Invalid filter key"), ([{"Key": "name"}], "Invalid filter values for key: name")],
)
def test_a_filter_without_key_or_values_is_refused(sm: Any, filters: list[Any], message: str) -> None:
    with refused("InvalidParameterException", message):
        sm.list_secrets(Filters=filters)


def test_a_filter_of_an_unknown_key_is_refused_by_the_model(sm: Any) -> None:
    with refused("ValidationException"):
        sm.list_secrets(Filters=[{"Key": "invalid", "Values": ["x"]}])


def names(sm: Any, **asked: Any) -> list[str]:
    """Every name, page by page."""
    found: list[str] = []
    while True:
        page = sm.list_secrets(**asked)
        assert len(page["SecretList"]) <= asked.get("MaxResults", 100)
        found += [secret["Name"] for secret in page["SecretList"]]
        if "NextToken" not in page:
            return found
        asked["NextToken"] = page["NextToken"]


@pytest.fixture
def made(house_on_each: House) -> Any:
    """A client that has made c, a, b and B, in this order; then a was changed, and b was read."""
    sm = house_on_each.client("secretsmanager")
    for name in ("c", "a", "b", "B"):
        house_on_each.clock.turn(ms=1000)
        sm.create_secret(Name=name, SecretString=name)
    house_on_each.clock.turn(ms=1000)
    sm.update_secret(SecretId="a", Description="changed")
    sm.get_secret_value(SecretId="b")
    return sm


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "cabB"),
        ({"SortOrder": "desc"}, "Bbac"),
        ({"SortBy": "name"}, "Babc"),
        ({"SortBy": "name", "SortOrder": "desc"}, "cbaB"),
        ({"SortBy": "last-changed-date"}, "cbBa"),
        ({"SortBy": "last-accessed-date", "SortOrder": "desc", "Filters": [{"Key": "name", "Values": ["b"]}]}, "b"),
    ],
)
def test_every_page_together_is_the_whole_list_in_order(made: Any, asked: dict[str, Any], expected: str) -> None:
    for size in (1, 2, 3, 100):
        assert "".join(names(made, MaxResults=size, **asked)) == expected
    assert names(made, SortBy="last-accessed-date", SortOrder="desc")[0] == "b"


def test_a_token_is_good_for_its_own_question_only(made: Any) -> None:
    token = made.list_secrets(MaxResults=1)["NextToken"]
    made.list_secrets(MaxResults=50, NextToken=token)
    for asked in (
        {"SortBy": "name"},
        {"SortOrder": "desc"},
        {"IncludePlannedDeletion": True},
        {"Filters": [{"Key": "name", "Values": ["a"]}]},
    ):
        with refused("InvalidNextTokenException"):
            made.list_secrets(NextToken=token, **asked)
    for forged in ("x", token[:-4], token[::-1], "W10=", "bnVsbA==", "é"):
        with refused("InvalidNextTokenException"):
            made.list_secrets(NextToken=forged)
    with refused("InvalidNextTokenException"):
        made.batch_get_secret_value(Filters=[{"Key": "name", "Values": ["a"]}], NextToken=token)


def test_a_page_looks_at_a_bounded_number_of_secrets(sm: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST_LOOKED_AT", 4)
    monkeypatch.setattr(listing, "_CHUNK", 2)
    for number in range(9):
        sm.create_secret(Name=f"n{number}", Description="last" if number == 8 else "")
    wanted = [{"Key": "description", "Values": ["last"]}]
    first = sm.list_secrets(Filters=wanted)
    assert len(first["SecretList"]) <= 1
    assert "NextToken" in first
    assert names(sm, Filters=wanted) == ["n8"]
    assert len(names(sm)) == 9


def test_secrets_whose_names_begin_alike_come_in_the_order_of_their_names_page_by_page(sm: Any) -> None:
    for name in ("app/c", "app/a", "other", "app/b"):
        sm.create_secret(Name=name)
    asked = {"Filters": [{"Key": "name", "Values": ["app/"]}], "PaginationConfig": {"PageSize": 2}}
    pages = [page["SecretList"] for page in sm.get_paginator("list_secrets").paginate(**asked)]
    assert [[secret["Name"] for secret in page] for page in pages] == [["app/a", "app/b"], ["app/c"]]
