"""ListSecrets: filters, order, pages."""

from dataclasses import replace
from typing import Any

import pytest

from geumgo.services.secretsmanager import domain_filters, listing, store, store_listing
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


@pytest.mark.parametrize("bound", ["MOST_LOOKED_AT", "MOST_PASSED"])
def test_a_page_looks_at_a_bounded_number_of_secrets(
    house: House, sm: Any, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    monkeypatch.setattr(listing, bound, 4)
    monkeypatch.setattr(listing, "_CHUNK", 2)
    for number in range(9):
        sm.create_secret(Name=f"n{number}", Description="last" if number == 8 else "other")
        house.clock.turn(ms=1)  # the order of those of one moment is by chance
    sought = "!other" if bound == "MOST_LOOKED_AT" else "last"  # of the first the database knows nothing
    wanted = [{"Key": "description", "Values": [sought]}]
    first = sm.list_secrets(Filters=wanted)
    assert not first["SecretList"]
    assert "NextToken" in first
    for order in ("created-date", "last-changed-date", "name", "last-accessed-date"):
        for way in ("asc", "desc"):
            assert names(sm, Filters=wanted, SortBy=order, SortOrder=way) == ["n8"]
    assert len(names(sm)) == 9


STRANGE = [
    ("plain", "", {}),
    ("Work/Kilo", "Bikini INDIGO", {"Team": "blue", 'a"b': "c\\d"}),
    ("dots", "İstanbul and İzmir", {"İ": "Kİ"}),
    ("kelvin", "300 \u212aelvin, 5\u212a", {"\u212aey": "\u212a"}),
    ("per_cent", "100% of under_score back\\slash", {"50%": "_x", "a_b": "%"}),
    ("words", "COMPANYthings credsDatabase#892 3rd", {"owner": "ann:bob", "empty": ""}),
    ("greek", "ΟΔΟΣ straße ﬁnd", {"ключ": "значение", "emoji": "🔑key"}),
]  # fmt: skip
SOUGHT = [
    *("i", "I", "k", "K", "K", "ki", "bikini", "indigo", "kelvin", "istanbul", "İstanbul", "i\u0307stanbul", "izmir i"),
    *("300", "5k", "5", "100", "100%", "%", "_", "x", "_x", "under score", "back", "slash", "\\", 'a"', '"', "a_", "a%", "50%"),
    *("compan", "things", "892", "3rd", "r", "creds data", "ann", "ann:b", "bob", "", "οδοσ", "οδος", "ΟΔ", "straße", "strasse", "ﬁ", "find"),
    *("ключ", "знач", "🔑", "key", "blue", "BLUE", "Team", "team", "c\\", "c\\d", "plain", "Work/", "kilo i", "a b c d e", "owner ann"),
]  # fmt: skip


@pytest.fixture
def strange(house_on_each: House) -> House:
    with house_on_each.app.storage.writing() as tx:
        for number, (name, text, tags) in enumerate(STRANGE):
            secret = replace(SECRET, id=f"{number:032x}", account=house_on_each.account, region="us-east-1", name=name)
            secret = replace(secret, description=text, tags=tags or None, owning_service=None)
            store.add(tx, house_on_each.app.pipeline._parts.sealing, secret)
    return house_on_each


def unlike_its_meaning(house: House) -> list[tuple[str, str]]:
    """The filters for which the database passes over a secret that they mean."""
    among = store_listing.Range(house.account, "us-east-1", store_listing.Order("name", False), None)
    wrong = []
    with house.app.storage.reading() as tx:

        def found(sieve: domain_filters.Sieve) -> list[Secret]:
            rows = store_listing.list_secrets(
                tx, house.app.pipeline._parts.sealing, among, deleted_too=True, sieve=sieve, limit=100
            )
            return [listed.secret for listed in rows]

        everything = found(())
        assert len(everything) == len(STRANGE)
        for key in ("name", "description", "tag-key", "tag-value", "all"):
            for value in SOUGHT:
                for values in ([value], ["nowhere", value], [f"!{value}"]):
                    filters: list[dict[str, Any]] = [
                        {"Key": key, "Values": values},
                        {"Key": "name", "Values": ["!nobody"]},
                    ]
                    meant = [secret for secret in everything if matches(secret, filters)]
                    if [secret for secret in found(domain_filters.sieve(filters)) if matches(secret, filters)] != meant:
                        wrong.append((key, value))
    return wrong


def test_the_database_passes_over_no_secret_that_a_filter_means(strange: House) -> None:
    assert unlike_its_meaning(strange) == []


@pytest.mark.parametrize("mutant", ["_in_any_case", "_literally"])
def test_a_sieve_that_is_too_fine_is_found(strange: House, monkeypatch: pytest.MonkeyPatch, mutant: str) -> None:
    monkeypatch.setattr(domain_filters, mutant, str)
    assert unlike_its_meaning(strange) != []


def test_only_two_letters_beyond_ascii_have_one_of_ascii_in_their_lower_case() -> None:
    """What `_in_any_case` makes room for."""
    assert [chr(at) for at in range(128, 0x110000) if any(letter.isascii() for letter in chr(at).lower())] == [
        "İ",
        "\u212a",
    ]


def test_a_row_that_is_shown_again_is_checked_again_once_a_bit_of_it_has_changed(house_on_each: House) -> None:
    sm = house_on_each.client("secretsmanager")
    sm.create_secret(Name="one", Description="as it was", Tags=[{"Key": "team", "Value": "blue"}])
    for asked in ({}, {"Filters": [{"Key": "tag-key", "Values": ["team"]}]}):
        assert len(sm.list_secrets(**asked)["SecretList"]) == 1
    edits = (
        ("description = 'forged'", "description = 'as it was'"),
        ("tags = REPLACE(tags, 'blue', 'eve')", "tags = REPLACE(tags, 'eve', 'blue')"),
        ("revision = revision + 1", "revision = revision - 1"),
    )
    for edit, back in edits:
        change(house_on_each, edit)
        for asked in ({}, {"Filters": [{"Key": "tag-key", "Values": ["team"]}]}):
            with refused("InternalServiceError"):
                sm.list_secrets(**asked)
        change(house_on_each, back)
        assert len(sm.list_secrets()["SecretList"]) == 1


def change(house: House, edit: str) -> None:
    """As somebody does who holds the database, and not the keys."""
    with house.app.storage.writing() as tx:
        assert tx.run(f"UPDATE secret SET {edit}") == 1


def test_secrets_whose_names_begin_alike_come_in_the_order_of_their_names_page_by_page(sm: Any) -> None:
    for name in ("app/c", "app/a", "other", "app/b"):
        sm.create_secret(Name=name)
    asked = {"Filters": [{"Key": "name", "Values": ["app/"]}], "PaginationConfig": {"PageSize": 2}}
    pages = [page["SecretList"] for page in sm.get_paginator("list_secrets").paginate(**asked)]
    assert [[secret["Name"] for secret in page] for page in pages] == [["app/a", "app/b"], ["app/c"]]
