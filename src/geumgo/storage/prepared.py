"""The statements of one connection to PostgreSQL, through libpq and without psycopg's cursors.

A cursor costs three times what libpq does, and forgets all that it has prepared whenever a transaction is rolled back, as every reading one
is. Here a statement is prepared when it is done for the second time, and stays so.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Any, Final

import psycopg
from psycopg import pq
from psycopg.adapt import Transformer
from psycopg.types.bool import BoolBinaryLoader
from psycopg.types.numeric import NumericBinaryLoader

from geumgo.storage import Row

KEPT_STATEMENTS = 512

_DONE = (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK)
_BIGINT, _BYTEA, _TEXT, _UNTYPED = 20, 17, 25, 0  # object ids of types, pg_type.dat
_BINARY: Final = pq.Format.BINARY
_BIGINT_BYTES: Final = Struct(">q").pack


class _WholeLoader(NumericBinaryLoader):
    """NUMERIC (what SUM of BIGINT gives) as an integer."""

    def load(self, data: Any) -> Any:
        value = super().load(data)
        whole = int(value)
        assert whole == value, "a fraction came out of a column that holds whole numbers"
        return whole


class _FlagLoader(BoolBinaryLoader):
    """BOOLEAN (what EXISTS gives) as 0 or 1, as SQLite has it."""

    def load(self, data: Any) -> Any:
        return int(super().load(data))


class Prepared:
    """Statements of `connection`, each with its parameters by number. Whatever fails raises psycopg.Error."""

    def __init__(self, connection: psycopg.Connection) -> None:
        connection.adapters.register_loader("numeric", _WholeLoader)
        connection.adapters.register_loader("bool", _FlagLoader)
        self._connection = connection.pgconn
        self._rows = Transformer(connection)
        self._names: dict[tuple[bytes, tuple[int, ...]], bytes] = {}  # by text and types; empty of what was done once
        self._made = 0

    def do(self, text: bytes, params: Sequence[str | int | bytes | None]) -> tuple[list[Row], int]:
        """The rows of the answer, and how many rows were inserted, changed or deleted.

        Integers are always BIGINT: a statement has one form, and nothing overflows a smaller type.
        """
        types, values = _spelled(params)
        result = ok(self._sent(text, types, values))
        if result.status == pq.ExecStatus.TUPLES_OK:
            rows = self._rows
            rows.set_pgresult(result)
            found = rows.load_rows(0, result.ntuples, tuple)
            rows.set_pgresult(None)
            return found, result.command_tuples or 0
        if result.command_tuples is None:
            self._deallocate()  # tables may have changed, and with them what a prepared statement would answer
        return [], result.command_tuples or 0

    def do_many(self, text: bytes, rows: Sequence[Sequence[str | int | bytes | None]]) -> int:
        """How many rows were inserted, changed or deleted by `text` for each of `rows`: all are sent before the first answer is awaited."""
        connection, sent = self._connection, []
        if len(self._names) >= KEPT_STATEMENTS:
            self._deallocate()
        for row in rows:
            types, values = _spelled(row)
            sent.append((self._prepared((text, tuple(types))), values, [_BINARY] * len(types)))
        connection.enter_pipeline_mode()
        for name, values, formats in sent:
            connection.send_query_prepared(name, values, formats, _BINARY)
        connection.pipeline_sync()
        count = self._received()
        connection.exit_pipeline_mode()
        if isinstance(count, psycopg.Error):
            raise count
        return count

    def _received(self) -> int | psycopg.Error:
        """The sum of the answers up to the end of what was sent, or the first error among them. Raises psycopg.Error if there is no end."""
        count, fault, ended = 0, None, False
        while True:
            result = self._connection.get_result()
            if result is None:  # after each answer, once
                if ended:
                    raise fault or psycopg.OperationalError("the answers ended too soon")
                ended = True
                continue
            ended = False
            if result.status == pq.ExecStatus.PIPELINE_SYNC:
                return fault or count
            if result.status in _DONE:
                count += result.command_tuples or 0
            elif result.status != pq.ExecStatus.PIPELINE_ABORTED:  # the answer to all that comes after an error
                fault = fault or psycopg.errors.error_from_result(result)

    def forget(self) -> None:
        """Everything is prepared anew: another process may have changed a table."""
        self._names.clear()

    def _sent(self, text: bytes, types: list[int], values: list[bytes | None]) -> pq.abc.PGresult:
        key = (text, tuple(types))
        name, formats = self._names.get(key), [_BINARY] * len(types)
        if name is None:
            if len(self._names) >= KEPT_STATEMENTS:
                self._deallocate()
            self._names[key] = b""
            return self._connection.exec_params(text, values, types, formats, _BINARY)
        return self._connection.exec_prepared(name or self._prepared(key), values, formats, _BINARY)  # type: ignore[arg-type]  # None is NULL here, too

    def _prepared(self, key: tuple[bytes, tuple[int, ...]]) -> bytes:
        """The name of a statement."""
        name = self._names.get(key)
        if not name:
            self._made += 1
            name = b"statement_%d" % self._made
            ok(self._connection.prepare(name, *key))
            self._names[key] = name
        return name

    def _deallocate(self) -> None:
        made = [name for name in self._names.values() if name]
        self._names.clear()
        if made:
            ok(self._connection.exec_(b"; ".join(b"DEALLOCATE %b" % name for name in made)))


def ok(result: pq.abc.PGresult) -> pq.abc.PGresult:
    """`result`, if it is no error. Raises psycopg.Error."""
    if result.status in _DONE:
        return result
    raise psycopg.errors.error_from_result(result)


def _spelled(params: Sequence[str | int | bytes | None]) -> tuple[list[int], list[bytes | None]]:
    """The types of parameters, and their binary forms."""
    types: list[int] = []
    values: list[bytes | None] = []
    for param in params:
        if isinstance(param, str):
            types.append(_TEXT)
            values.append(param.encode())
        elif isinstance(param, int):
            types.append(_BIGINT)
            values.append(_BIGINT_BYTES(param))
        else:
            types.append(_UNTYPED if param is None else _BYTEA)
            values.append(param)
    return types, values
