"""The rules of the databases that RDS attaches: names and engines. Pure."""

import re
from collections.abc import Mapping
from typing import Final, Literal

from geumgo.attached.domain import BadValue

Dialect = Literal["postgresql", "mysql", "mongodb"]

DIALECTS: Final[Mapping[Literal["db", "cluster"], Mapping[str, Dialect]]] = {
    "db": {"postgres": "postgresql", "mysql": "mysql", "mariadb": "mysql"},
    "cluster": {
        "aurora-postgresql": "postgresql",
        "aurora-mysql": "mysql",
        "postgres": "postgresql",
        "mysql": "mysql",
        "docdb": "mongodb",
    },
}
"""The engines that can be attached, and what they are spoken to in."""

ROTATION_DAYS: Final = 7
"""How often a managed master password is changed. Source: "Password management with Amazon RDS and Secrets Manager", user guide."""

PASSWORD_LENGTH: Final = 32
EXCLUDED: Final = "/@\"'\\ "
"""Source: MasterUserPassword, CreateDBInstance, API reference: any printable character but slash, quotes, at sign and space."""

_IDENTIFIER: Final = re.compile(r"(?=.{1,63}\Z)[a-z](-?[a-z0-9])*")


def identifier(member: str, given: str) -> str:
    """An identifier as it is kept: lower case. Raises BadValue.

    Source: DBInstanceIdentifier, CreateDBInstance, API reference. Unverified: the message.
    """
    name = given.lower()
    if not is_identifier(name):
        raise BadValue(
            f"The parameter {member} is not a valid identifier. Identifiers must begin with a letter; must contain only ASCII letters, "
            "digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens."
        )
    return name


def is_identifier(name: str) -> bool:
    return _IDENTIFIER.fullmatch(name) is not None
