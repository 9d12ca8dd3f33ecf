"""IAM: who may act here, and what they may do.

Accounts, users, groups, roles, policies, access keys and identity providers, under AWS's API. The rest of the house asks three things of
this room, through ports that `app` joins: whose key is this (`keyring`), which policies speak about a caller (`rights`), who exists
(`directory`). A principal is its unique id; names are for people, and a name that comes back is somebody else.
"""

from geumgo.room import Room
from geumgo.services.iam import (
    access_keys,
    account,
    attachments,
    devices,
    groups,
    inline,
    instance_profiles,
    managed,
    passwords,
    providers,
    reports,
    roles,
    simulate,
    users,
)
from geumgo.services.iam.access import ACCESS
from geumgo.services.iam.renewal import RENEWALS

ROOM = Room(
    "iam",
    chapters=(
        users,
        groups,
        access_keys,
        devices,
        inline,
        attachments,
        managed,
        roles,
        instance_profiles,
        passwords,
        account,
        providers,
        reports,
        simulate,
    ),
    access=ACCESS,
    tables="geumgo.services.iam.tables",
    renews=RENEWALS,
)
