"""Which policies speak about a caller: the gate's `PolicySource`.

Nothing is believed from an earlier state of the database. Every row that decides rights is read in the transaction at hand, or was read
from the same rows before (see storage.derived), and its MAC checked. What follows from bytes alone is kept longer: compiled documents by
their text, and what a principal holds by the digest that its row vouches for.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from geumgo.access.ports import PrincipalPolicies
from geumgo.context import Caller
from geumgo.domain.bounded import keep
from geumgo.domain.policy import Policy, PolicyKind, compile_policy
from geumgo.sealing import Sealing, Unsealable
from geumgo.services.iam.records import Holdings, Kind, Principal
from geumgo.services.iam.store import holdings, policies, principals
from geumgo.storage import Tx

COMPILED_LIMIT: Final = 4096
HELD_LIMIT: Final = 4096

_EVERYTHING: Final = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}'


@lru_cache(maxsize=COMPILED_LIMIT)
def compiled(document: str, kind: PolicyKind, name: str) -> Policy:
    """The policy that `document` describes. Raises MalformedPolicy; what is stored was compiled before it was stored."""
    return compile_policy(document, kind, name=name)


class Rights:
    """Satisfies `PolicySource`. One per process."""

    def __init__(self, sealing: Sealing, partition: str = "aws") -> None:
        self._sealing = sealing
        self._partition = partition
        self._held: dict[tuple[str, str], Holdings] = {}

    def of(self, tx: Tx, caller: Caller) -> PrincipalPolicies:
        """The policies that hold for `caller` now.

        The account's root has everything but what is denied explicitly. A caller whose row is gone has nothing. A federated user without a
        session policy has nothing either. Source: "Policy evaluation logic", IAM User Guide.
        """
        session = caller.session
        behind = (session.issuer_id, session.policies) if session is not None else None
        key = ("iam.rights", caller.kind, caller.account, caller.unique_id, behind)
        found = tx.derived(key, lambda: self._of(tx, caller))
        assert found is not None, "everybody has rights, if none"
        return found

    def _of(self, tx: Tx, caller: Caller) -> PrincipalPolicies:
        session = self._session(caller)
        if caller.kind == "Root":
            return PrincipalPolicies(identity=(compiled(_EVERYTHING, PolicyKind.IDENTITY, "root"),), session=session)
        owner = self._owner(tx, caller)
        if owner is None:
            return PrincipalPolicies(identity=(), session=session)
        return PrincipalPolicies(
            identity=self.identity_of(tx, owner),
            boundary=self.boundary_of(tx, owner),
            session=session,
        )

    def identity_of(self, tx: Tx, owner: Principal) -> Sequence[Policy]:
        """The identity policies of a principal: its own, and its groups' if it is a user."""
        held = self.held(tx, owner)
        found = self._own(tx, held)
        for group_id in held.groups:
            group = principals.by_id(tx, self._sealing, group_id)
            if group is None or group.kind != "group" or group.account != owner.account:
                raise Unsealable
            found += self._own(tx, self.held(tx, group))
        return found

    def boundary_of(self, tx: Tx, owner: Principal) -> Policy | None:
        if owner.boundary_id is None:
            return None
        return self._managed(tx, owner.boundary_id, PolicyKind.BOUNDARY)

    def held(self, tx: Tx, owner: Principal) -> Holdings:
        """What `owner` holds. Kept by digest: the row that was just read says which one is true now."""
        known = self._held.get((owner.id, owner.holdings))
        if known is None:
            known = holdings.read(tx, owner)
            keep(self._held, (owner.id, owner.holdings), known, HELD_LIMIT)
        return known

    def _own(self, tx: Tx, held: Holdings) -> list[Policy]:
        inline = [compiled(document, PolicyKind.IDENTITY, name) for name, document in held.inline]
        return inline + [self._managed(tx, policy_id, PolicyKind.IDENTITY) for policy_id in held.attached]

    def _managed(self, tx: Tx, policy_id: str, kind: PolicyKind) -> Policy:
        policy = policies.by_id(tx, self._sealing, policy_id)
        if policy is None:
            raise Unsealable
        return compiled(policies.document(tx, policy), kind, policy.arn(self._partition))

    def _owner(self, tx: Tx, caller: Caller) -> Principal | None:
        """The user or role whose rights the caller has, looked up by unique id."""
        session = caller.session
        owner_id, kind = "", "user"
        if caller.kind == "IAMUser":
            owner_id = caller.unique_id
        elif caller.kind == "AssumedRole" and session is not None:
            owner_id, kind = session.issuer_id, "role"
        elif caller.kind == "FederatedUser" and session is not None:
            owner_id = session.issuer_id
        owner = principals.by_id(tx, self._sealing, owner_id) if owner_id else None
        wanted: Kind = "role" if kind == "role" else "user"
        return owner if owner is not None and (owner.kind, owner.account) == (wanted, caller.account) else None

    def _session(self, caller: Caller) -> tuple[Policy, ...] | None:
        given = caller.session.policies if caller.session is not None else None
        if given is None:
            return () if caller.kind == "FederatedUser" else None
        return tuple(compiled(document, PolicyKind.SESSION, "") for document in given)
