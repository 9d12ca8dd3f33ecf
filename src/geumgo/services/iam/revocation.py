"""Ending sessions before their time: what an operator does when credentials got out."""

from dataclasses import replace

from geumgo.sealing import Sealing
from geumgo.services.iam.domain import parse_iam_arn
from geumgo.services.iam.records import Kind
from geumgo.services.iam.store import principals
from geumgo.storage import Tx


def revoke_sessions(tx: Tx, sealing: Sealing, arn: str, now_ms: int) -> None:
    """Every session of the role or user `arn` that was issued before now is over. New ones may be got.

    Raises LookupError if there is no such role or user.
    """
    kinds: tuple[Kind, ...] = ("role", "user")
    for kind in kinds:
        named = parse_iam_arn(arn, kind)
        owner = principals.by_name(tx, sealing, named.account, kind, named.name) if named is not None else None
        if owner is not None and owner.arn(arn.split(":")[1]) == arn:
            principals.save(tx, sealing, replace(owner, not_before_ms=now_ms))
            return
    raise LookupError(arn)
