"""Who exists: what other rooms may learn of users, roles, policies and providers. Satisfies `principals.Principals`."""

import hashlib
import re
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import Final

from geumgo.access.ports import MARK_EVERY_MS
from geumgo.domain.policy import Policy, PolicyKind, compile_policy
from geumgo.principals import Login, ProviderFacts, RoleFacts, UserFacts
from geumgo.sealing import Sealing
from geumgo.services.iam import password_rules, totp
from geumgo.services.iam.domain import may_be_issuer, parse_iam_arn
from geumgo.services.iam.keyring import ACTIVE
from geumgo.services.iam.pinned import named, refuse, with_principals
from geumgo.services.iam.records import Principal
from geumgo.services.iam.rights import COMPILED_LIMIT
from geumgo.services.iam.store import account, devices, keys, logins, policies, principals, providers
from geumgo.storage import Tx

ROLE_SESSION_S: Final = 3600
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_UNIQUE_ID: Final = re.compile(r"(?:AIDA|AROA)[A-Z2-7]{17}")
_SERVICE: Final = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?")
_SESSION_NAMES: Final = r"assumed-role/([\w+=,.@-]{1,64})/([\w+=,.@-]{2,64})"
_SESSION: Final = re.compile(_SESSION_NAMES, re.ASCII)
_SESSION_ARN: Final = re.compile(r"arn:([a-z-]+):sts::([0-9]{12}):" + _SESSION_NAMES, re.ASCII)
_FEDERATED_USER: Final = re.compile(r"federated-user/[\w+=,.@-]{2,32}", re.ASCII)
_WEB_PROVIDERS: Final = frozenset(
    {"accounts.google.com", "www.amazon.com", "graph.facebook.com", "cognito-identity.amazonaws.com"}
)


@lru_cache(maxsize=COMPILED_LIMIT)
def _compiled_trust(document: str, name: str) -> Policy:
    """The trust policy that a role has. One that was stored while IAM still took a NotPrincipal beside Deny goes on denying."""
    return compile_policy(document, PolicyKind.TRUST, name=name, stored=True)


class Directory:
    """The answers, read in the asker's own transaction. One per process."""

    def __init__(self, sealing: Sealing, partition: str = "aws") -> None:
        self._sealing = sealing
        self._partition = partition

    def exists(self, tx: Tx, principal: str) -> bool:
        """Whether a policy may name `principal`. Accounts, users, roles and providers must be here; services must be well formed."""
        if principal == "*" or _SERVICE.fullmatch(principal) or principal in _WEB_PROVIDERS:
            return True
        if _ACCOUNT.fullmatch(principal):
            return account.find(tx, self._sealing, principal) is not None
        if _UNIQUE_ID.fullmatch(principal):
            return principals.by_id(tx, self._sealing, principal) is not None
        parts = principal.split(":", 5)
        if len(parts) != 6 or parts[:2] != ["arn", self._partition] or parts[3] or not _ACCOUNT.fullmatch(parts[4]):
            return False
        if parts[2] == "iam":
            return self._iam_principal_exists(tx, principal, parts[4], parts[5])
        return parts[2] == "sts" and self._session_may_exist(tx, parts[4], parts[5])

    def pin(self, tx: Tx, document: str) -> str:
        def pinned(kind: str, value: str) -> str:
            if kind == "CanonicalUser" or value == "*":
                return value
            if not self.exists(tx, value):
                raise refuse(kind, value)
            return (self.unique_id(tx, value) if kind == "AWS" else None) or value

        return with_principals(document, pinned)

    def unpin(self, tx: Tx, document: str) -> str:
        def shown(kind: str, value: str) -> str:
            return (self.arn_of(tx, value) if kind == "AWS" else None) or value

        return with_principals(document, shown)

    def unique_id(self, tx: Tx, arn: str) -> str | None:
        who = named(arn)
        if who is not None:
            found = principals.by_name(tx, self._sealing, who[0], "role" if who[1] == "role" else "user", who[2])
            return found.id if found is not None and found.arn(self._partition) == arn else None
        session = _SESSION_ARN.fullmatch(arn)
        if session is None or session[1] != self._partition:
            return None
        role = principals.by_name(tx, self._sealing, session[2], "role", session[3])
        return f"{role.id}:{session[4]}" if role is not None and role.name == session[3] else None

    def arn_of(self, tx: Tx, unique_id: str) -> str | None:
        principal_id, of_session, name = unique_id.partition(":")
        found = principals.by_id(tx, self._sealing, principal_id) if _UNIQUE_ID.fullmatch(principal_id) else None
        if found is None or not of_session:
            return found.arn(self._partition) if found is not None else None
        return f"arn:{self._partition}:sts::{found.account}:assumed-role/{found.name}/{name}"

    def role(self, tx: Tx, arn: str) -> RoleFacts | None:
        named = parse_iam_arn(arn, "role")
        if named is None:
            return None
        role = principals.by_name(tx, self._sealing, named.account, "role", named.name)
        return self._facts(role) if role is not None and role.arn(self._partition) == arn else None

    def role_by_id(self, tx: Tx, role_id: str) -> RoleFacts | None:
        role = principals.by_id(tx, self._sealing, role_id)
        return self._facts(role) if role is not None and role.kind == "role" else None

    def user_by_id(self, tx: Tx, user_id: str) -> UserFacts | None:
        user = principals.by_id(tx, self._sealing, user_id)
        if user is None or user.kind != "user":
            return None
        return self._user_facts(user)

    def key_is_active(self, tx: Tx, access_key_id: str) -> bool:
        key = keys.by_id(tx, self._sealing, access_key_id)
        return key is not None and key.status == ACTIVE

    def take_code(self, tx: Tx, user_id: str, serial: str, code: str, now_ms: int) -> bool:
        device = devices.find(tx, self._sealing, serial)
        if device is None or device.user_id is None or device.user_id != user_id:
            return False
        seed = devices.open_seed(self._sealing, device).reveal()
        step = totp.matching_step(seed, code, now_ms, after=device.last_step)
        if step is None:
            return False
        devices.save(tx, self._sealing, replace(device, last_step=step))
        return True

    def login(self, tx: Tx, account_id: str, user_name: str, now_ms: int) -> tuple[str | None, Login | None]:
        """See `Principals.login`. Nobody may sign in with a password that expired for good, until an administrator sets another."""
        found = account.find(tx, self._sealing, account_id) or account.by_alias(tx, self._sealing, account_id)
        user = principals.by_name(tx, self._sealing, found.id if found else "", "user", user_name)
        kept = logins.find(tx, self._sealing, user.id if user else "")
        serials = tuple(device.serial for device in devices.of_user(tx, self._sealing, user.id if user else ""))
        if found is None or user is None or kept is None:
            return found.id if found else None, None
        rules = found.password_rules or {}
        expired = password_rules.has_expired(rules, kept.changed_at_ms, now_ms)
        if expired and rules.get("HardExpiry"):
            return found.id, None
        facts = self._user_facts(user)
        return found.id, Login(facts, _mark(kept.hashed), kept.hashed, kept.reset_required or expired, serials)

    def password_mark(self, tx: Tx, user_id: str) -> str | None:
        kept = logins.find(tx, self._sealing, user_id)
        return _mark(kept.hashed) if kept is not None else None

    def managed_policy(self, tx: Tx, account: str, arn: str) -> str | None:
        policy = policies.by_arn(tx, self._sealing, account, arn)
        if policy is None or policy.arn(self._partition) != arn:
            return None
        return policies.document(tx, policy)

    def provider(self, tx: Tx, account: str, issuer: str) -> ProviderFacts | None:
        found = providers.find(tx, self._sealing, account, issuer) if may_be_issuer(issuer) else None
        if found is None:
            return None
        arn = found.arn(self._partition)
        return ProviderFacts(arn, found.account, found.issuer, frozenset(found.audiences), found.jwks)

    def mark_of_use(self, tx: Tx, role_id: str, region: str, now_ms: int) -> Callable[[Tx], None] | None:
        used = keys.last_used(tx, role_id)
        if used is not None and now_ms - used[0] < MARK_EVERY_MS:
            return None
        return lambda later: keys.mark_used(later, role_id, "", region, now_ms, at_most_every_ms=MARK_EVERY_MS)

    def _iam_principal_exists(self, tx: Tx, arn: str, account_id: str, resource: str) -> bool:
        if resource == "root":
            return account.find(tx, self._sealing, account_id) is not None
        kind, _, issuer = resource.partition("/")
        if kind == "oidc-provider":
            return self.provider(tx, account_id, issuer) is not None
        if kind == "role":
            return self.role(tx, arn) is not None
        named = parse_iam_arn(arn, "user")
        if named is None:
            return False
        user = principals.by_name(tx, self._sealing, account_id, "user", named.name)
        return user is not None and user.arn(self._partition) == arn

    def _session_may_exist(self, tx: Tx, account_id: str, resource: str) -> bool:
        """A session's role must exist; whether somebody holds such a session now is not kept anywhere."""
        session = _SESSION.fullmatch(resource)
        if session is not None:
            role = principals.by_name(tx, self._sealing, account_id, "role", session[1])
            return role is not None and role.name == session[1]
        return (
            _FEDERATED_USER.fullmatch(resource) is not None and account.find(tx, self._sealing, account_id) is not None
        )

    def _user_facts(self, user: Principal) -> UserFacts:
        return UserFacts(user.id, user.account, user.arn(self._partition), user.name, user.tags, user.not_before_ms)

    def _facts(self, role: Principal) -> RoleFacts:
        assert role.trust is not None, f"role {role.id} has no trust policy"
        return RoleFacts(
            id=role.id,
            account=role.account,
            arn=role.arn(self._partition),
            name=role.name,
            trust=_compiled_trust(role.trust, role.name),
            max_session_s=role.max_session_s or ROLE_SESSION_S,
            tags=role.tags,
            not_before_ms=role.not_before_ms,
        )


def _mark(hashed: str) -> str:
    """What tells one password from the next, even if they are the same: their hashes have salts of their own."""
    return hashlib.sha256(hashed.encode()).hexdigest()[:32]
