"""Keys that never leave: AWS Key Management Service as a room.

A KMS key has material in versions, each wrapped under the root key and bound to its account, region, id and version.
What it encrypts names the key and the version, so Decrypt needs no KeyId. Key policies and grants decide who may;
every room that encrypts asks here.
"""

from geumgo.room import Room
from geumgo.services.kms import (
    aliases,
    encryption,
    grants,
    importing,
    keys,
    policies,
    regions,
    rotation,
    signing,
    tags,
    use,
)
from geumgo.services.kms.access import ACCESS
from geumgo.services.kms.renewal import RENEWALS

ROOM = Room(
    "kms",
    chapters=(keys, aliases, policies, tags, encryption, signing, grants, rotation, importing, regions, use),
    access=ACCESS,
    tables="geumgo.services.kms.tables",
    renews=RENEWALS,
    resource_type="AWS::KMS::Key",
)
