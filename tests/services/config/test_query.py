"""The query language of SelectResourceConfig: tables of queries over three secrets."""

from typing import Any

import pytest

from geumgo.services.config.domain_query import InvalidQuery, compile_query


def item(name: str, number: int, rotates: bool, **tags: str) -> dict[str, Any]:
    return {
        "resourceType": "AWS::SSM::Parameter" if name == "p" else "AWS::SecretsManager::Secret",
        "resourceId": name,
        "resourceName": f"app/{name}",
        "tags": [{"key": key, "value": value, "tag": f"{key}={value}"} for key, value in tags.items()],
        "configuration": {"Number": number, "RotationEnabled": rotates, "Text": f"it's {name}"},
    }


ITEMS = [
    item("a", 1, True, team="x"),
    item("b", 2, False, team="y", owner="ann"),
    item("c", 3, False),
    item("p", 4, False, team="x"),
]


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("", "abcp"),
        ("WHERE resourceId = 'a'", "a"),
        ("where RESOURCEID = 'a'", "a"),
        ("WHERE resourceType = 'AWS::SecretsManager::Secret'", "abc"),
        ("WHERE resourceType = 'AWS::SSM::Parameter' OR resourceId = 'a'", "ap"),
        ("WHERE NOT resourceType = 'AWS::SSM::Parameter'", "abc"),
        ("WHERE resourceType <> 'AWS::SSM::Parameter' AND configuration.Number >= 2", "bc"),
        ("WHERE configuration.Number > 1 AND configuration.Number < 4", "bc"),
        ("WHERE configuration.Number BETWEEN 2 AND 3", "bc"),
        ("WHERE configuration.Number NOT BETWEEN 2 AND 3", "ap"),
        ("WHERE configuration.Number IN (1, 4)", "ap"),
        ("WHERE configuration.Number NOT IN (1, 4)", "bc"),
        ("WHERE configuration.Number = '1'", ""),
        ("WHERE configuration.RotationEnabled = true", "a"),
        ("WHERE configuration.RotationEnabled != true", "bcp"),
        ("WHERE configuration.Missing = 1", ""),
        ("WHERE configuration.Text = 'it''s b'", "b"),
        ("WHERE resourceName LIKE 'app/%'", "abcp"),
        ("WHERE resourceName LIKE '%a'", "a"),
        ("WHERE resourceName LIKE '%/%c'", "c"),
        ("WHERE resourceName LIKE 'app/_'", "abcp"),
        ("WHERE resourceName LIKE 'app'", ""),
        ("WHERE resourceName NOT LIKE '%a'", "bcp"),
        ("WHERE tags.key = 'team'", "abp"),
        ("WHERE tags.tag = 'team=x'", "ap"),
        ("WHERE tags.tag = 'team=x' AND NOT (resourceId = 'p' OR resourceId = 'b')", "a"),
        ("WHERE (resourceId = 'a' OR resourceId = 'b') AND configuration.Number > 1", "b"),
        ("WHERE resourceId = 'a' OR resourceId = 'b' AND configuration.Number > 5", "a"),
        ("ORDER BY configuration.Number DESC", "pcba"),
        ("ORDER BY configuration.RotationEnabled DESC, configuration.Number", "abcp"),
        ("ORDER BY configuration.RotationEnabled, resourceId DESC;", "pcba"),
    ],
)
def test_what_a_condition_means(condition, found):
    query = compile_query(f"SELECT resourceId {condition}")
    rows = query.answer([one for one in ITEMS if query.resource_type in (None, one["resourceType"])])
    assert "".join(row["resourceId"] for row in rows) == found


@pytest.mark.parametrize(
    ("fields", "row"),
    [
        ("resourceId, configuration.Number", {"resourceId": "b", "configuration": {"Number": 2}}),
        ("configuration.number, configuration.text", {"configuration": {"Number": 2, "Text": "it's b"}}),
        ("tags.key", {"tags": [{"key": "team"}, {"key": "owner"}]}),
        ("missing, resourceId", {"resourceId": "b"}),
        ("*", ITEMS[1]),
        ("COUNT(*)", {"COUNT(*)": 1}),
    ],
)
def test_what_a_row_holds(fields, row):
    assert compile_query(f"SELECT {fields} WHERE resourceId = 'b'").answer(ITEMS) == [row]


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("SELECT COUNT(*)", [{"COUNT(*)": 4}]),
        ("SELECT COUNT(*) WHERE resourceId = 'x'", [{"COUNT(*)": 0}]),
        ("SELECT SUM(configuration.Number), AVG(configuration.Number), MIN(configuration.Number), MAX(configuration.Number)",
         [{"SUM(configuration.Number)": 10, "AVG(configuration.Number)": 2.5, "MIN(configuration.Number)": 1, "MAX(configuration.Number)": 4}]),
        ("SELECT resourceType, COUNT(*) GROUP BY resourceType ORDER BY COUNT(*) DESC",
         [{"resourceType": "AWS::SecretsManager::Secret", "COUNT(*)": 3}, {"resourceType": "AWS::SSM::Parameter", "COUNT(*)": 1}]),
        ("SELECT COUNT(tags.key)", [{"COUNT(tags.key)": 3}]),
    ],
)  # fmt: skip
def test_aggregates(query, rows):
    assert compile_query(query).answer(ITEMS) == rows


@pytest.mark.parametrize(
    "text",
    [
        "", "SELECT", "SELECT ,", "SELECT a b", "UPDATE x", "SELECT a FROM b", "SELECT a WHERE", "SELECT a WHERE b", "SELECT a WHERE b = ",
        "SELECT a WHERE b = c", "SELECT a WHERE b LIKE 3", "SELECT a WHERE b IN ()", "SELECT a WHERE b BETWEEN 1", "SELECT a WHERE (b = 1",
        "SELECT a WHERE b = 'x", "SELECT a WHERE b NOT = 1", "SELECT a, COUNT(*)", "SELECT SUM(*)", "SELECT a GROUP BY b", "SELECT a ORDER a",
        "SELECT a; SELECT b", "SELECT a WHERE " + "(" * 40 + "b = 1" + ")" * 40, "SELECT a WHERE b = 1e5", "SELECT a WHERE b = 1 LIMIT 3", "\0",
    ],
)  # fmt: skip
def test_what_is_no_query(text):
    with pytest.raises(InvalidQuery) as refusal:
        compile_query(text)
    assert str(refusal.value).endswith(".")


def test_a_pattern_of_many_wildcards_takes_no_time():
    query = compile_query("SELECT resourceId WHERE resourceName LIKE '" + "%a" * 200 + "b'")
    assert query.answer([{**ITEMS[0], "resourceName": "a" * 5_000}]) == []


def test_only_a_type_that_always_holds_narrows_what_is_read():
    assert compile_query("SELECT a WHERE resourceType = 'x' AND b = 1").resource_type == "x"
    for condition in (
        "resourceType = 'x' OR b = 1",
        "NOT resourceType = 'x'",
        "(resourceType = 'x' OR b = 1) AND c = 1",
    ):
        assert compile_query(f"SELECT a WHERE {condition}").resource_type is None
