"""AWS CloudTrail: who did what, over the trail that every call leaves.

The trail (`geumgo.audit`) is written before any answer and is the only source of records. `indexer` reads it behind a kept position, makes
it findable (`event_history`) and tells EventBridge.
"""

from geumgo.room import Room
from geumgo.services.cloudtrail import event_history
from geumgo.services.cloudtrail.access import ACCESS

ROOM = Room(
    "cloudtrail",
    chapters=(event_history,),
    access=ACCESS,
    tables="geumgo.services.cloudtrail.tables",
)
