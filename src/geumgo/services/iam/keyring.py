"""Whose access key is this: the long-term half of the door's `Keyring`."""

import os
from functools import partial
from typing import Final

from geumgo.access.ports import MARK_EVERY_MS, Key
from geumgo.context import Caller
from geumgo.sealing import Plaintext, Sealing
from geumgo.services.iam.records import AccessKey, Principal
from geumgo.services.iam.store import keys, principals
from geumgo.storage import Tx

ACTIVE: Final = "Active"


class LongTermKeyring:
    """Satisfies `Keyring` for the keys of users. One per process."""

    def __init__(self, sealing: Sealing, partition: str = "aws") -> None:
        self._sealing = sealing
        self._partition = partition
        decoy = AccessKey("AKIA" + "A" * 16, "0" * 12, "AIDA" + "A" * 17, ACTIVE, 0, b"")
        sealed = keys.seal_secret(sealing, decoy, Plaintext(os.urandom(40)))
        self._decoy = AccessKey(decoy.id, decoy.account, decoy.user_id, ACTIVE, 0, sealed)

    def find(self, tx: Tx, access_key_id: str, session_token: str | None, now_ms: int) -> Key | None:  # noqa: ARG002
        """The key, or None if it is unknown or inactive, its user is gone, or a session token came with it.

        An id that is not known costs one unsealing, as one that is does when its signing key is derived.
        """
        known = tx.derived(("iam.key", access_key_id), lambda: self._usable(tx, access_key_id))
        if known is None or session_token is not None:
            keys.open_secret(self._sealing, self._decoy)
            return None
        return known

    def _usable(self, tx: Tx, access_key_id: str) -> Key | None:
        key = keys.by_id(tx, self._sealing, access_key_id)
        owner = principals.by_id(tx, self._sealing, (key or self._decoy).user_id)
        if key is None or owner is None or key.status != ACTIVE:
            return None
        if (owner.kind, owner.account) != ("user", key.account):
            return None
        return Key(partial(keys.open_secret, self._sealing, key), self._caller(owner, key), key.used_at_ms)

    def mark_used(self, tx: Tx, access_key_id: str, service: str, region: str, now_ms: int) -> None:
        """The key's date of use is `now_ms`, at most once an hour."""
        keys.mark_used(tx, access_key_id, service, region, now_ms, at_most_every_ms=MARK_EVERY_MS)

    def _caller(self, owner: Principal, key: AccessKey) -> Caller:
        return Caller(
            kind="IAMUser",
            account=owner.account,
            arn=owner.arn(self._partition),
            unique_id=owner.id,
            name=owner.name,
            access_key_id=key.id,
            tags=owner.tags,
        )
