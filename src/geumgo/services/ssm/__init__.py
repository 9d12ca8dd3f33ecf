"""Parameters and their versions: AWS Systems Manager Parameter Store as a room.

A parameter has a name in a hierarchy, up to a hundred versions, and labels that say which version is which. Values of every type are
sealed; those of a SecureString open through KMS only, for whoever may use the key. What a caller may do is decided by his own policies
and, where he is of another account, by the one that is attached to the parameter. Beside them there are the documents of Automation
that act on secrets. Of Systems Manager nothing else is here.
"""

from geumgo.room import Room
from geumgo.services.ssm import (
    automation,
    labels,
    listing,
    parameters,
    policies,
    reading,
    resource_policy,
    settings,
    tags,
)
from geumgo.services.ssm.access import ACCESS
from geumgo.services.ssm.renewal import RENEWALS

ROOM = Room(
    "ssm",
    chapters=(parameters, reading, listing, labels, tags, policies, resource_policy, settings, automation),
    access=ACCESS,
    tables="geumgo.services.ssm.tables",
    renews=RENEWALS,
)
