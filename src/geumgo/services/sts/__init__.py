"""STS: temporary credentials.

A session is a sealed token that says who stands behind it; no row is kept. `keyring` opens tokens at the door, and asks through the ports
of the house whether the role or user behind them still is who he was.
"""

from geumgo.room import Room
from geumgo.services.sts import identity, roles, sessions, web_identity
from geumgo.services.sts.access import ACCESS
from geumgo.services.sts.renewal import RENEWALS

ROOM = Room(
    "sts",
    chapters=(identity, roles, sessions, web_identity),
    access=ACCESS,
    tables="geumgo.services.sts.tables",
    renews=RENEWALS,
)
