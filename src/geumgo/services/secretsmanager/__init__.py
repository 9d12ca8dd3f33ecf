"""Secrets and their versions: AWS Secrets Manager as a room.

A secret has values in versions, each sealed under a data key of its own that KMS wraps, and labels that say which version is which.
What a caller may do is decided by his own policies and by the one that is attached to the secret. A deleted secret can be restored
until its window ends; then its data keys go, and with them every value.
"""

from geumgo.room import Room
from geumgo.services.secretsmanager import (
    counting,
    listing,
    random_password,
    resource_policy,
    rotation,
    rotation_clock,
    secrets,
    values,
    versions,
)
from geumgo.services.secretsmanager.access import ACCESS
from geumgo.services.secretsmanager.renewal import RENEWALS

ROOM = Room(
    "secretsmanager",
    chapters=(counting, secrets, listing, values, versions, rotation, rotation_clock, resource_policy, random_password),
    access=ACCESS,
    tables="geumgo.services.secretsmanager.tables",
    renews=RENEWALS,
    resource_type="AWS::SecretsManager::Secret",
)
