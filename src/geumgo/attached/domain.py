"""Where an attached database is, as its tags say. Pure."""

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

HOST_TAG: Final = "geumgo:host"
PORT_TAG: Final = "geumgo:port"
SECRET_TAG: Final = "geumgo:secret"  # noqa: S105 - the name of a tag
TLS_TAG: Final = "geumgo:tls"
OURS: Final = "geumgo:"

GIVE_UP_MS: Final = 3_600_000
"""How long a database that cannot be reached is tried for one task."""

_HOST: Final = re.compile(r"[A-Za-z0-9._:-]{1,253}")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}")


class BadValue(ValueError):
    """A parameter that cannot be used. The message is a sentence for the caller."""


class Where(NamedTuple):
    """Where a database is, as its tags say. `secret` names the secret with the password that it has so far; empty: none was named."""

    host: str
    port: int
    tls: bool
    secret: str


def where(tags: Mapping[str, str]) -> Where:
    """Raises BadValue when the tags do not say where the database is."""
    missing = [name for name in (HOST_TAG, PORT_TAG) if name not in tags]
    if missing:
        raise BadValue(
            f"No databases are made here: one that you already run is attached. Say where it is with the tags {HOST_TAG} and {PORT_TAG}; "
            f"missing: {', '.join(missing)}."
        )
    host, port, tls = tags[HOST_TAG], tags[PORT_TAG], tags.get(TLS_TAG, "verify-full")
    if not _HOST.fullmatch(host):
        raise BadValue(f"The tag {HOST_TAG} is no host name or address.")
    if not _PORT.fullmatch(port) or int(port) > 65_535:
        raise BadValue(f"The tag {PORT_TAG} is no port.")
    if tls not in ("verify-full", "off"):
        raise BadValue(f"The tag {TLS_TAG} is verify-full (as without it) or off.")
    strange = sorted(
        name for name in tags if name.startswith(OURS) and name not in (HOST_TAG, PORT_TAG, SECRET_TAG, TLS_TAG)
    )
    if strange:
        raise BadValue(f"There is no tag {strange[0]}.")
    return Where(host.lower(), int(port), tls != "off", tags.get(SECRET_TAG, ""))


def refuse_ours(names: list[str]) -> None:
    """Where a database is cannot be changed: whoever may tag it could otherwise have its password sent elsewhere. Raises BadValue."""
    ours = [name for name in names if name.startswith(OURS)]
    if ours:
        raise BadValue(f"The tag {ours[0]} says where the database is. Detach the database, and attach it where it is.")


def wait_ms(waited_ms: int) -> int:
    """How long to wait before a database that could not be reached for `waited_ms` is tried again: 1 s at first, 1 minute at most."""
    return max(1_000, min(60_000, waited_ms // 2))
