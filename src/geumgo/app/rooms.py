"""The rooms of this program. A new room is one more name here."""

from collections.abc import Iterator
from typing import Final

from geumgo.renewal import Renewal
from geumgo.room import JobHandler, Room
from geumgo.services import (
    cloudtrail,
    cloudwatch,
    config,
    ecs,
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
    ecs.ROOM,
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


def renewals() -> Iterator[tuple[str, Renewal]]:
    """Every table that holds something under the root keys, with the service that it belongs to. Accounts come first."""
    for room in sorted(ROOMS, key=lambda each: each.service != "iam"):
        for renewal in room.renews:
            yield room.service, renewal
