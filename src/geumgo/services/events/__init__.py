"""Amazon EventBridge. So far: whether an event pattern matches an event, by the same rules that will choose targets."""

from geumgo.room import Room
from geumgo.services.events import patterns
from geumgo.services.events.access import ACCESS

ROOM = Room("events", chapters=(patterns,), access=ACCESS)
