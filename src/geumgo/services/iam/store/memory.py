"""Rows that were checked once."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar, cast

from geumgo.sealing import Sealing
from geumgo.storage import Row

Record = TypeVar("Record")

ROWS_LIMIT = 8192


def remembered(checked: Callable[[Sealing, Row], Record]) -> Callable[[Sealing, Row], Record]:
    """`checked`, asked once for each row.

    It is a pure function of a key ring and of the row with its MAC: a row that is the same to the last byte has the same answer. Whether
    the row is still there is asked of the database every time.
    """
    return cast("Callable[[Sealing, Row], Record]", lru_cache(maxsize=ROWS_LIMIT)(cast("Any", checked)))
