"""What principals hold: inline policies, attached policies, memberships.

The owner's row carries a digest of it under its MAC. So a row that is added, changed, moved or taken away behind our back makes the whole
unreadable: the owner has no rights until an administrator looks, rather than a few too many.
"""

from dataclasses import replace

from geumgo.sealing import Sealing, Unsealable
from geumgo.services.iam.domain import holdings_digest
from geumgo.services.iam.records import Holdings, Principal
from geumgo.services.iam.store import principals
from geumgo.storage import Tx

NOTHING = Holdings()
NOTHING_DIGEST = holdings_digest(NOTHING)


def read(tx: Tx, owner: Principal) -> Holdings:
    """What `owner` holds. Raises Unsealable if it is not what its row vouches for."""
    if owner.holdings == NOTHING_DIGEST and _count(tx, owner.id) == 0:
        return NOTHING
    inline = tx.all("SELECT name, document FROM iam_inline_policy WHERE owner_id = :id ORDER BY name", id=owner.id)
    attached = tx.all("SELECT policy_id FROM iam_attachment WHERE owner_id = :id ORDER BY policy_id", id=owner.id)
    groups = tx.all("SELECT group_id FROM iam_membership WHERE user_id = :id ORDER BY group_id", id=owner.id)
    held = Holdings(
        inline=tuple((str(name), str(document)) for name, document in inline),
        attached=tuple(str(row[0]) for row in attached),
        groups=tuple(str(row[0]) for row in groups),
    )
    if holdings_digest(held) != owner.holdings:
        raise Unsealable
    return held


def write(tx: Tx, sealing: Sealing, owner: Principal, held: Holdings) -> Principal:
    """`owner` holds exactly `held`. What it held before was read, and so checked, first."""
    before = read(tx, owner)
    old, new = dict(before.inline), dict(held.inline)
    for name in old.keys() - new.keys():
        tx.run("DELETE FROM iam_inline_policy WHERE owner_id = :id AND name = :name", id=owner.id, name=name)
    for name, document in new.items():
        if old.get(name) != document:
            tx.run(
                "INSERT INTO iam_inline_policy (owner_id, name, document) VALUES (:id, :name, :document) "
                "ON CONFLICT (owner_id, name) DO UPDATE SET document = excluded.document",
                id=owner.id,
                name=name,
                document=document,
            )
    for policy_id in set(before.attached) - set(held.attached):
        tx.run("DELETE FROM iam_attachment WHERE owner_id = :id AND policy_id = :policy", id=owner.id, policy=policy_id)
    for policy_id in set(held.attached) - set(before.attached):
        tx.run("INSERT INTO iam_attachment (owner_id, policy_id) VALUES (:id, :policy)", id=owner.id, policy=policy_id)
    for group_id in set(before.groups) - set(held.groups):
        tx.run(
            "DELETE FROM iam_membership WHERE user_id = :id AND group_id = :group_id", id=owner.id, group_id=group_id
        )
    for group_id in set(held.groups) - set(before.groups):
        tx.run("INSERT INTO iam_membership (user_id, group_id) VALUES (:id, :group_id)", id=owner.id, group_id=group_id)
    return principals.save(tx, sealing, replace(owner, holdings=holdings_digest(held)))


def _count(tx: Tx, owner_id: str) -> int:
    row = tx.one(
        "SELECT (SELECT COUNT(*) FROM iam_inline_policy WHERE owner_id = :id) "
        "+ (SELECT COUNT(*) FROM iam_attachment WHERE owner_id = :id) "
        "+ (SELECT COUNT(*) FROM iam_membership WHERE user_id = :id)",
        id=owner_id,
    )
    assert row is not None
    return int(row[0])
