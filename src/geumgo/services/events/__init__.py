"""Amazon EventBridge: who wants to hear of what, and how it is brought to them.

An event that a rule wants is promised to each of the rule's targets in the transaction that made the event (`matching`), and brought there
by a job (`delivery`), at least once, however often the server dies in between.
"""

from geumgo.room import Room
from geumgo.services.events import (
    api_destinations,
    archives,
    buses,
    connections,
    patterns,
    put_events,
    replays,
    rules,
    schedules,
    tags,
    targets,
)
from geumgo.services.events.access import ACCESS
from geumgo.services.events.renewal import RENEWALS

ROOM = Room(
    "events",
    chapters=(
        patterns,
        rules,
        targets,
        tags,
        put_events,
        schedules,
        connections,
        api_destinations,
        buses,
        archives,
        replays,
    ),
    access=ACCESS,
    tables="geumgo.services.events.tables",
    renews=RENEWALS,
)
