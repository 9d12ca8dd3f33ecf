"""The rooms of this program. A new room is one more name here."""

from typing import Final

from geumgo.room import JobHandler, Room
from geumgo.services import (
    cloudtrail,
    cloudwatch,
    config,
    events,
    iam,
    kms,
    lambda_,
    rds,
    redshift,
    secretsmanager,
    ssm,
    sts,
)
from geumgo.services import geumgo as geumgo_room

ROOMS: Final[tuple[Room, ...]] = (
    cloudtrail.ROOM,
    cloudwatch.ROOM,
    config.ROOM,
    events.ROOM,
    geumgo_room.ROOM,
    iam.ROOM,
    kms.ROOM,
    lambda_.ROOM,
    rds.ROOM,
    redshift.ROOM,
    secretsmanager.ROOM,
    ssm.ROOM,
    sts.ROOM,
)


def handlers() -> dict[str, JobHandler]:
    """What does the jobs of every room, by kind."""
    return {kind: handler for room in ROOMS for kind, handler in room.jobs.items()}
