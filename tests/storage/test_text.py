"""SQL texts between the engines."""

import pytest
from hypothesis import given
from hypothesis.strategies import binary, dictionaries, integers, none, one_of, sampled_from, text

from geumgo.storage.text import (
    HIGHEST,
    LOWEST,
    changes_rows,
    checked,
    checked_rows,
    for_postgres,
    for_sqlite,
    statements,
)


@pytest.mark.parametrize(
    ("sql", "expected", "names"),
    [
        ("SELECT :a, :b, :a", "SELECT $1, $2, $1", ("a", "b")),
        ("SELECT ':a', :b", "SELECT ':a', $1", ("b",)),
        ("SELECT 'it''s :a', :b", "SELECT 'it''s :a', $1", ("b",)),
        ('SELECT ":a", :b', 'SELECT ":a", $1', ("b",)),
        ("SELECT :a::BIGINT", "SELECT $1::BIGINT", ("a",)),
        ("SELECT id -- :no\nWHERE :a", "SELECT id -- :no\nWHERE $1", ("a",)),
        ("SELECT 100 % :a, '%'", "SELECT 100 % $1, '%'", ("a",)),
        ("SELECT '금고', :a_1", "SELECT '금고', $1", ("a_1",)),
        ("CREATE TABLE t (a TEXT PRIMARY KEY) WITHOUT ROWID", "CREATE TABLE t (a TEXT PRIMARY KEY)", ()),
        ("SELECT 'WITHOUT ROWID'", "SELECT 'WITHOUT ROWID'", ()),
    ],
)
def test_parameters_are_numbered_where_they_are_parameters(sql: str, expected: str, names: tuple[str, ...]) -> None:
    assert for_postgres(sql) == (expected, names)


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ('ORDER BY name COLLATE "C"', "ORDER BY name COLLATE BINARY"),
        ("""SELECT 'COLLATE "C"'""", """SELECT 'COLLATE "C"'"""),
        ("SELECT CAST(:a AS BIGINT)", "SELECT CAST(:a AS INT)"),
        ("SELECT 'BIGINT BYTEA'", "SELECT 'BIGINT BYTEA'"),
        ("CREATE TABLE t (a BIGINT, b BYTEA);", "CREATE TABLE t (a INT, b BLOB)\nSTRICT"),
        ("CREATE TABLE t (a TEXT) -- why", "CREATE TABLE t (a TEXT) -- why\nSTRICT"),
        (
            "CREATE TABLE t (a TEXT PRIMARY KEY) WITHOUT ROWID;",
            "CREATE TABLE t (a TEXT PRIMARY KEY) WITHOUT ROWID,\nSTRICT",
        ),
    ],
)
def test_sqlite_gets_its_own_words(sql: str, expected: str) -> None:
    assert for_sqlite(sql) == expected


@pytest.mark.parametrize(
    ("sql", "changes"),
    [
        ("INSERT INTO t VALUES (1)", True),
        (" update t SET a = 1", True),
        ("DELETE FROM t", True),
        ("WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", True),
        ("WITH x AS (SELECT 1) SELECT * FROM x", False),
        ("SELECT 'DELETE' -- UPDATE", False),
        ("CREATE TABLE t (a TEXT)", False),
    ],
)
def test_texts_that_change_rows_are_told_apart(sql: str, changes: bool) -> None:
    assert changes_rows(sql) is changes


def test_a_script_is_cut_at_semicolons_that_end_a_line() -> None:
    script = "-- one\nSELECT 1; -- why\n\nSELECT ';\n' -- ;\n, 2;\nSELECT \";\n\";\n"
    assert list(statements(script)) == ["SELECT 1", "SELECT ';\n' \n, 2", 'SELECT ";\n"']


@pytest.mark.parametrize("value", ["a\0b", "\ud800", "금\udfff고", HIGHEST + 1, LOWEST - 1])
def test_what_one_engine_cannot_keep_both_refuse(value: object) -> None:
    with pytest.raises(ValueError, match="parameter name"):
        checked({"name": value})


@pytest.mark.parametrize("value", [1.5, bytearray(b"a"), ["a"], object()])
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError, match="parameter name"):
        checked({"name": value})


@given(
    dictionaries(
        sampled_from("abc"), one_of(none(), integers(LOWEST, HIGHEST), binary(), text().filter(lambda t: "\0" not in t))
    )
)
def test_what_both_can_keep_is_left_alone(params: dict[str, object]) -> None:
    assert checked(params) == params


def test_a_flag_is_a_number() -> None:
    assert checked({"on": True, "off": False, "name": "금고"}) == {"on": 1, "off": 0, "name": "금고"}


@pytest.mark.parametrize("value", ["a\0b", "\ud800", HIGHEST + 1, LOWEST - 1])
def test_values_of_many_rows_are_refused_as_those_of_one(value: object) -> None:
    rows = [("a", 1, None), ("b", 2, value)]
    with pytest.raises(ValueError, match="in a row"):
        checked_rows(rows)


def test_values_of_many_rows_are_kept_as_those_of_one() -> None:
    rows = [("금고", HIGHEST, None, b"\0"), ("a", LOWEST, "b", b"")]
    assert checked_rows(rows) is rows
    assert checked_rows([("a", True), ("b", 0)]) == [("a", 1), ("b", 0)]
    with pytest.raises(TypeError):
        checked_rows([("a", 1.5)])
