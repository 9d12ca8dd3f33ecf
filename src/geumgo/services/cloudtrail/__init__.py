"""AWS CloudTrail: who did what, over the trail that every call leaves.

The trail (`geumgo.audit`) is written before any answer and is the only source of records. `indexer` reads it behind a kept position, makes
it findable (`event_history`), tells EventBridge, and lets it wait for the trails that log it, whose files `delivery` writes.
"""

from geumgo.room import Room
from geumgo.services.cloudtrail import event_history, logging, selectors, signing_keys, tags, trails
from geumgo.services.cloudtrail.access import ACCESS
from geumgo.services.cloudtrail.renewal import RENEWALS

ROOM = Room(
    "cloudtrail",
    chapters=(event_history, trails, logging, selectors, tags, signing_keys),
    access=ACCESS,
    tables="geumgo.services.cloudtrail.tables",
    renews=RENEWALS,
)
