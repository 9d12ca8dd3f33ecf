"""AWS Config: rules about secrets, and who does not keep to them.

A rule looks at every secret on a schedule, or at one when it changes, and says COMPLIANT or NON_COMPLIANT. What it says is kept; when it
says something else than before, EventBridge hears of it. Config reads as the role of its configuration recorder, through the door that
everybody takes: what that role may not list is not judged.
"""

from geumgo.room import Room
from geumgo.services.config import (
    compliance,
    custom,
    delivery,
    evaluation,
    history,
    looking,
    packs,
    recorder,
    recording,
    remediating,
    remediation,
    rules,
    tags,
)
from geumgo.services.config.access import ACCESS
from geumgo.services.config.renewal import RENEWALS

ROOM = Room(
    "config",
    chapters=(
        recorder,
        delivery,
        recording,
        history,
        rules,
        custom,
        evaluation,
        looking,
        compliance,
        remediation,
        remediating,
        packs,
        tags,
    ),
    access=ACCESS,
    tables="geumgo.services.config.tables",
    renews=RENEWALS,
)
