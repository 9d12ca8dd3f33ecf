"""Whose temporary key is this: the other half of the door's `Keyring`."""

from collections.abc import Sequence
from functools import partial
from typing import Final

from geumgo.access.ports import Key
from geumgo.context import Caller, Session
from geumgo.errors import ExpiredToken
from geumgo.principals import Principals
from geumgo.sealing import Plaintext, Sealing
from geumgo.services.sts import domain, time_line
from geumgo.services.sts.tokens import TOKEN_LIMIT_CHARACTERS, Claims, read
from geumgo.storage import Tx

EXPIRED: Final = "The security token included in the request is expired"


class TemporaryKeyring:
    """Satisfies `Keyring` for keys that came with a session token. One per process."""

    def __init__(self, sealing: Sealing, directory: Principals, partition: str = "aws") -> None:
        self._sealing = sealing
        self._directory = directory
        self._partition = partition

    def find(self, tx: Tx, access_key_id: str, session_token: str | None, now_ms: int) -> Key | None:
        """The key, or None; see `Keyring.find`.

        Whether the session is over is told only to who holds its token. A session of a role or user that is gone, was made again
        under its name, or had its sessions revoked is unknown, as is one of a user's key that is no longer active.
        """
        if session_token is None or len(session_token) > TOKEN_LIMIT_CHARACTERS:
            return None
        known = tx.derived(
            ("sts.token", access_key_id, session_token), lambda: self._opened(tx, access_key_id, session_token)
        )
        if known is None:
            return None
        expires_at_ms, key = known
        if now_ms >= expires_at_ms:
            raise ExpiredToken(EXPIRED)
        return key

    def _opened(self, tx: Tx, access_key_id: str, session_token: str) -> tuple[int, Key | None] | None:
        """When the session is over, and its key if somebody stands behind it. None: the token is not ours, or not this key's."""
        opened = read(self._sealing, access_key_id, session_token)
        if opened is None:
            return None
        claims, packed, _ = opened
        if claims.time_line != time_line.current(tx, self._sealing):
            return 0, None  # it is over: see time_line
        caller = self._caller(tx, claims, packed, access_key_id)
        secret = partial(self._secret, access_key_id, session_token)
        until_ms = claims.expires_at_ms
        return until_ms, Key(secret, caller, until_ms=until_ms) if caller is not None else None

    def _secret(self, access_key_id: str, session_token: str) -> Plaintext:
        opened = read(self._sealing, access_key_id, session_token)
        assert opened is not None, "a token that opened does not open any more"
        return opened[2]

    def mark_used(self, tx: Tx, access_key_id: str, service: str, region: str, now_ms: int) -> None:
        """Nothing is kept of a temporary key; its `Key.mark_is_due` never is."""

    def _caller(self, tx: Tx, claims: Claims, packed: bytes, access_key_id: str) -> Caller | None:
        if claims.kind == "AssumedRole":
            return self._of_role(tx, claims, packed, access_key_id)
        user = self._directory.user_by_id(tx, claims.issuer_id)
        if user is None or user.account != claims.account or claims.issued_at_ms < user.not_before_ms:
            return None
        if not self._still_holds(tx, claims):
            return None
        policy, arns, tags = domain.unpack(packed)
        session = self._session(tx, claims, user.arn, user.name, policy, arns)
        if claims.kind == "IAMUser":
            return Caller("IAMUser", user.account, user.arn, user.id, user.name, access_key_id, user.tags, session)
        return Caller(
            kind="FederatedUser",
            account=user.account,
            arn=federated_arn(self._partition, user.account, claims.name),
            unique_id=f"{user.account}:{claims.name}",
            name=claims.name,
            access_key_id=access_key_id,
            tags=domain.principal_tags(user.tags, tags),
            session=session,
        )

    def _still_holds(self, tx: Tx, claims: Claims) -> bool:
        """Whether the key or the password that a user's session was got with is still his."""
        if claims.through_password:
            return self._directory.password_mark(tx, claims.issuer_id) == claims.through_password
        return self._directory.key_is_active(tx, claims.through_key)

    def _of_role(self, tx: Tx, claims: Claims, packed: bytes, access_key_id: str) -> Caller | None:
        role = self._directory.role_by_id(tx, claims.issuer_id)
        if role is None or role.account != claims.account or claims.issued_at_ms < role.not_before_ms:
            return None
        policy, arns, tags = domain.unpack(packed)
        return Caller(
            kind="AssumedRole",
            account=role.account,
            arn=session_arn(self._partition, role.account, role.name, claims.name),
            unique_id=f"{role.id}:{claims.name}",
            name=claims.name,
            access_key_id=access_key_id,
            tags=domain.principal_tags(role.tags, tags),
            session=self._session(tx, claims, role.arn, role.name, policy, arns),
        )

    def _session(
        self, tx: Tx, claims: Claims, issuer_arn: str, issuer_name: str, policy: str | None, arns: Sequence[str]
    ) -> Session:
        """The session, with the documents of its policies as they are now. A managed policy that is gone allows nothing."""
        documents = None
        if policy is not None or arns:
            found = [self._directory.managed_policy(tx, claims.account, arn) for arn in arns]
            documents = tuple(document for document in [policy, *found] if document is not None)
        return Session(
            issuer_arn=issuer_arn,
            issuer_id=claims.issuer_id,
            issuer_name=issuer_name,
            name=claims.name,
            issued_at_ms=claims.issued_at_ms,
            expires_at_ms=claims.expires_at_ms,
            policies=documents,
            source_identity=claims.source_identity,
            mfa=claims.mfa,
            federated_provider=claims.provider,
            transitive_tags=frozenset(claims.transitive),
            password=bool(claims.through_password),
        )


def session_arn(partition: str, account: str, role_name: str, session_name: str) -> str:
    return f"arn:{partition}:sts::{account}:assumed-role/{role_name}/{session_name}"


def federated_arn(partition: str, account: str, name: str) -> str:
    return f"arn:{partition}:sts::{account}:federated-user/{name}"
