"""Functions that other people wrote, run as roles that they were given: AWS Lambda as a room.

A function is a package, sealed where it is kept, and a configuration. Its resource policy says who else may invoke it. What runs has
the credentials of its execution role and nothing else of this server: the host (geumgo.functions) sees to that.
"""

from geumgo.room import Room
from geumgo.services.lambda_ import aliases, event_configs, functions, invoke, layers, permissions, settings, versions
from geumgo.services.lambda_.access import ACCESS
from geumgo.services.lambda_.renewal import RENEWALS

ROOM = Room(
    "lambda",
    chapters=(functions, versions, aliases, permissions, layers, invoke, event_configs, settings),
    access=ACCESS,
    tables="geumgo.services.lambda_.tables",
    renews=RENEWALS,
    resource_type="AWS::Lambda::Function",
)
