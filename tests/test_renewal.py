"""Everything under the root keys is known to be: no table is forgotten when they are renewed."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

import geumgo
from geumgo.app.directory import prepare_tables
from geumgo.app.rooms import renewals
from geumgo.renewal import MAC, Mark, Renewal, count, renew_all, step, vouched
from geumgo.sealing import Plaintext, Unsealable, random
from geumgo.sealing.root import RootKeys
from geumgo.storage import Storage, Tx

# Bytes that are not under the root keys, and what they are under instead.
OTHER_BYTES: Final = {
    "secret_version.ciphertext": "a data key",
    "secret_version_key.wrapped": "a KMS key",
    "ssm_parameter_version.wrapped": "a KMS key",
    "kms_material.public": "nothing: it is public, and the sealed half is bound to it",
    "cloudtrail_signing_key.public_key": "nothing: it is public, and the sealed half is bound to it",
    "iam_credential_report.content": "nothing: names and dates",
    "cloudtrail_posting.others": "nothing: numbers of records",
    "kept_changes.token": "nothing: it says that something has changed",
}
# Tables whose rows have another name in their MAC: that of the table in which they were first.
VOUCHED_AS: Final = {"cloudtrail_record": "cloudtrail_event"}
# What a MAC is over that is no row: it is in somebody's hands, and a token of before the renewal is refused.
TOKENS: Final = {"page", "kms_grant_token", "config_result_token"}
# Columns that a MAC does not cover, because they decide nothing.
UNCOVERED: Final = {
    "secret": {"current_version"},
    "lambda_function": {"revision"},
    "ssm_automation": {"status", "steps", "ended_at_ms"},
}


def columns_of(tx: Tx) -> Iterator[tuple[str, str, str]]:
    """Table, column and type of everything there is."""
    for (table,) in tx.all("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"):
        for name, kind in tx.all("SELECT name, type FROM pragma_table_info(:table)", table=table):
            yield table, name, kind


def test_every_column_of_bytes_is_renewed_or_is_under_something_else(sqlite_storage: Storage) -> None:
    """A new table that seals or vouches must say in its room how it is renewed, or its rows are lost with the old root key."""
    prepare_tables(sqlite_storage)
    with sqlite_storage.reading() as tx:
        there = {f"{table}.{name}" for table, name, kind in columns_of(tx) if kind == "BLOB"}
    renewed = {f"{each.table}.{mark.column}" for _, each in renewals() for mark in each.marks if not mark.is_text}
    assert there == renewed | OTHER_BYTES.keys()
    assert not renewed & OTHER_BYTES.keys()


def test_every_column_of_a_vouched_row_is_covered(sqlite_storage: Storage) -> None:
    """A column that a MAC covers and a renewal forgot would make every row unreadable."""
    prepare_tables(sqlite_storage)
    with sqlite_storage.reading() as tx:
        there = list(columns_of(tx))
    for _, each in renewals():
        if each.marks == (MAC,) and each.table != "secret_version":
            known = {name for table, name, _ in there if table == each.table}
            assert known - {"mac"} - UNCOVERED.get(each.table, set()) == set(each.columns), each.table


def test_keys_of_renewals_are_those_of_the_tables(sqlite_storage: Storage) -> None:
    prepare_tables(sqlite_storage)
    with sqlite_storage.reading() as tx:
        for _, each in renewals():
            found = tx.all("SELECT name FROM pragma_table_info(:table) WHERE pk > 0 ORDER BY pk", table=each.table)
            assert tuple(name for (name,) in found) == each.key, each.table


def named_in_programs(verb: str) -> set[str]:
    """What is given to `sealing.vouch` and `sealing.wrap` in all rooms: tables, and purposes."""
    found: set[str] = set()
    for path in Path(geumgo.__file__).parent.rglob("*.py"):
        relative = path.relative_to(Path(geumgo.__file__).parent).with_suffix("")
        if relative.parts[0] == "sealing" or str(relative) == "renewal":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != verb:
                continue
            if not ast.unparse(node.func.value).endswith(("sealing", "root")) or not node.args:
                continue
            said = node.args[0]
            if isinstance(said, ast.Constant):
                found.add(str(said.value))
            elif isinstance(said, ast.Name) and said.id.isupper():
                module = importlib.import_module(".".join(("geumgo", *relative.parts)))
                found.add(getattr(module, said.id))
            elif ast.unparse(said) not in ("self._table", "self._purpose"):  # a store of several rooms
                assert isinstance(said, ast.Name), f"{path}: {ast.unparse(node)}"
                assert said.id == "table", f"{path}: {ast.unparse(node)}: one that is handed on is called table"
    return found


def test_whatever_is_vouched_for_is_renewed_or_is_a_token() -> None:
    tables = {VOUCHED_AS.get(each.table, each.table) for _, each in renewals()}
    vouched_for = named_in_programs("vouch")
    assert vouched_for - TOKENS <= tables, vouched_for - TOKENS - tables


def test_whatever_is_wrapped_is_renewed() -> None:
    purposes = {mark.purpose for _, each in renewals() for mark in each.marks if mark.purpose}
    assert named_in_programs("wrap") <= purposes


# Who opens the root keys for a moment, and writes nothing under them. Everybody else says so with `rings.hold`.
SOON_OVER: Final = {
    *("app/backups.py", "app/directory.py", "app/operators.py", "app/rekeying.py", "app/rings.py", "app/seals.py"),
    *("app/unsealing.py", "cli/doctor.py", "sealing/keyring.py"),
}


def test_whoever_goes_on_with_root_keys_tells_that_he_has_them() -> None:
    """A process that does not would write in a term that is dropped meanwhile."""
    package = Path(geumgo.__file__).parent
    opening = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"\bopen_(root|keyring)\(", path.read_text())
    }
    assert opening <= SOON_OVER


# -- one table --------------------------------------------------------------------------------------------------------

ROWS: Final = 450
FIRST: Final = Plaintext(b"1" * 32)
OLD: Final = RootKeys({1: FIRST})
BOTH: Final = RootKeys({1: FIRST, 2: random.key()})


def context_of(id_: int) -> dict[str, str]:
    return {"id": str(id_)}


def anew(_tx: Tx, sealing: Any, row: Mapping[str, Any]) -> dict[str, bytes]:
    sealing.check("thing", {"id": row["id"], "sealed": row["sealed"]}, row["mac"])
    sealed = sealing.wrap("kms", context_of(row["id"]), sealing.unwrap("kms", context_of(row["id"]), row["sealed"]))
    return {"sealed": sealed, "mac": sealing.vouch("thing", {"id": row["id"], "sealed": sealed})}


THING: Final = Renewal("thing", ("id",), (MAC, Mark("sealed", "kms")), (), anew)


def put(tx: Tx, keys: RootKeys, id_: int, *, mac_keys: RootKeys | None = None) -> None:
    sealed = keys.wrap("kms", context_of(id_), Plaintext(b"value"))
    mac = (mac_keys or keys).vouch("thing", {"id": id_, "sealed": sealed})
    tx.run("INSERT INTO thing (id, sealed, mac) VALUES (:id, :sealed, :mac)", id=id_, sealed=sealed, mac=mac)


@pytest.fixture(name="things")
def things_on_each_engine(storage: Storage) -> Storage:
    with storage.writing() as tx:
        tx.run("CREATE TABLE thing (id BIGINT PRIMARY KEY, sealed BYTEA, mac BYTEA NOT NULL)")
        for number in range(ROWS):
            put(tx, OLD, number)
    return storage


def left(storage: Storage) -> int:
    with storage.reading() as tx:
        return count(tx, renewal=THING, term=2)


def test_a_table_is_renewed_in_steps_and_a_second_walk_finds_what_was_left(things: Storage) -> None:
    with things.writing() as tx:
        first = step(tx, sealing=BOTH, renewal=THING, term=2, after=None)
    assert (first.renewed, first.after, left(things)) == (THING.at_once, (THING.at_once - 1,), ROWS - THING.at_once)
    with things.writing() as tx:  # as if this were another run
        again = step(tx, sealing=BOTH, renewal=THING, term=2, after=None)
        assert again.after == (2 * THING.at_once - 1,)
    with things.writing() as tx:
        assert step(tx, sealing=BOTH, renewal=THING, term=2, after=again.after).after is None
        put(tx, OLD, ROWS)  # by a process that has not heard of it
        put(tx, OLD, ROWS + 1, mac_keys=BOTH)  # and by one that has, of a row whose other half it carried over
        put(tx, BOTH, ROWS + 2)
    assert left(things) == 2
    with things.writing() as tx:
        assert renew_all(tx, BOTH, [THING], 2) == 2
    assert left(things) == 0
    alone = RootKeys({2: BOTH._terms[2]})
    with things.reading() as tx:
        for id_, sealed, mac in tx.all("SELECT id, sealed, mac FROM thing"):
            alone.check("thing", {"id": id_, "sealed": sealed}, mac)
            assert alone.unwrap("kms", context_of(id_), sealed).reveal() == b"value"
            with pytest.raises(Unsealable):
                OLD.check("thing", {"id": id_, "sealed": sealed}, mac)


def test_a_forged_row_is_named_and_stays_as_it_is_and_the_others_go_on(things: Storage) -> None:
    with things.writing() as tx:
        tx.run("UPDATE thing SET mac = (SELECT mac FROM thing WHERE id = 6) WHERE id = 5")
        was = tx.one("SELECT sealed, mac FROM thing WHERE id = 5")
        went = step(tx, sealing=BOTH, renewal=THING, term=2, after=None)
    assert [(each.table, each.key, each.why) for each in went.damaged] == [
        ("thing", (5,), "a row of thing was changed from outside")
    ]
    assert went.renewed == THING.at_once - 1
    with things.reading() as tx:
        assert tx.one("SELECT sealed, mac FROM thing WHERE id = 5") == was
    with pytest.raises(Unsealable, match="thing: a row of thing"), things.writing() as tx:
        renew_all(tx, BOTH, [THING], 2)


def test_what_is_under_other_keys_is_left_alone(things: Storage) -> None:
    """The blob of a KMS key has the same form, and a version of its own."""
    foreign = RootKeys({1: random.key()}).wrap("ssm", {}, Plaintext(b"value"))
    with things.writing() as tx:
        tx.run("DELETE FROM thing")
        mac = BOTH.vouch("thing", {"id": 1, "sealed": foreign})
        tx.run("INSERT INTO thing (id, sealed, mac) VALUES (1, :sealed, :mac)", sealed=foreign, mac=mac)
        mac = BOTH.vouch("thing", {"id": 2, "sealed": None})
        tx.run("INSERT INTO thing (id, sealed, mac) VALUES (2, NULL, :mac)", mac=mac)
    assert left(things) == 0


def test_a_vouched_table_needs_no_more_than_its_columns() -> None:
    made = vouched("thing", ("id",), ("id", "name"))
    assert made.selected() == ("id", "name", "mac")
    assert inspect.signature(made.renewed).parameters.keys() == {"_tx", "sealing", "row"}
