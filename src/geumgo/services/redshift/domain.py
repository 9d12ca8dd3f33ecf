"""The rules of attached clusters: names and passwords. Pure."""

import re
from typing import Final

from geumgo.attached.domain import BadValue

ROTATION_DAYS: Final = 30
"""How often a managed admin password is changed. Source: "Managing Amazon Redshift admin passwords using AWS Secrets Manager"."""

PASSWORD_LENGTH: Final = 32
EXCLUDED: Final = "/@\"'\\ "
"""Source: MasterUserPassword, CreateCluster, API reference: ASCII 33 to 126 but quotes, backslash, slash and at sign."""

DEFAULT_DATABASE: Final = "dev"
"""Source: DBName, CreateCluster, API reference."""

_IDENTIFIER: Final = re.compile(r"(?=.{1,63}\Z)[a-z](-?[a-z0-9])*")
_USERNAME: Final = re.compile(r"[a-z][a-z0-9_+.@-]{0,127}")
_DATABASE: Final = re.compile(r"[a-z0-9_]{1,64}")
_PRINTABLE: Final = frozenset(map(chr, range(33, 127))) - frozenset("'\"\\/@")


def identifier(given: str) -> str:
    """Raises BadValue. Source: ClusterIdentifier, CreateCluster, API reference. Unverified: the message."""
    if not is_identifier(given):
        raise BadValue(
            f"The identifier {given} is not valid. Identifiers must begin with a letter; must contain only lowercase ASCII letters, "
            "digits, and hyphens; and must not end with a hyphen or contain two consecutive hyphens."
        )
    return given


def is_identifier(name: str) -> bool:
    return _IDENTIFIER.fullmatch(name) is not None


def username(given: str) -> str:
    """Raises BadValue. Source: MasterUsername, CreateCluster, API reference. Unverified: the message."""
    if not _USERNAME.fullmatch(given) or given == "public":
        raise BadValue("The parameter MasterUsername is not valid.")
    return given


def database(given: str) -> str:
    """Raises BadValue. Source: DBName, CreateCluster, API reference. Unverified: the message."""
    if not _DATABASE.fullmatch(given):
        raise BadValue("The parameter DBName is not valid.")
    return given


def new_password(given: str) -> str:
    """A password that a cluster may be given. Raises BadValue, which does not repeat it.

    Source: MasterUserPassword, ModifyCluster, API reference; Unverified: the messages.
    """
    if not 8 <= len(given) <= 64:
        raise BadValue("The parameter MasterUserPassword must be between 8 and 64 characters in length.")
    for found, what in (
        (any(each.isupper() for each in given), "at least one upper case letter"),
        (any(each.islower() for each in given), "at least one lower case letter"),
        (any(each.isdigit() for each in given), "at least one decimal digit"),
    ):
        if not found:
            raise BadValue(f"The parameter MasterUserPassword must contain {what}.")
    if not set(given) <= _PRINTABLE:
        raise BadValue(
            "The parameter MasterUserPassword is not a valid password. Only printable ASCII characters besides '/', '@', '\"', ' ', '\\', "
            "'\\'' may be used."
        )
    return given
