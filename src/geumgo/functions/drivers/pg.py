"""The errors of PyGreSQL's module `pg`, which AWS's rotation functions for PostgreSQL and Redshift catch. Its classes are not here.

PyGreSQL has no wheels for Linux. A package or a layer that brings it comes before this.
"""

from psycopg import (
    DatabaseError,
    DataError,
    Error,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    ProgrammingError,
    Warning,  # noqa: A004  as DB-API 2 calls it
)

__all__ = [
    "DataError",
    "DatabaseError",
    "Error",
    "IntegrityError",
    "InterfaceError",
    "InternalError",
    "NotSupportedError",
    "OperationalError",
    "ProgrammingError",
    "Warning",
]


def __getattr__(name: str) -> object:
    raise AttributeError(f"This is not PyGreSQL and has no {name}: bring PyGreSQL in the package or in a layer.")
