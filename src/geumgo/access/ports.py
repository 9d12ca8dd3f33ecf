"""What the gate and the door need to know and do not keep themselves. iam and sts satisfy these; app joins them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from geumgo.access.demand import Demand, Target
from geumgo.context import Caller
from geumgo.domain.policy import Policy
from geumgo.principals import RoleFacts
from geumgo.sealing.plaintext import Plaintext
from geumgo.storage import Tx

MARK_EVERY_MS = 3_600_000
"""A date of use is written at most once an hour (milliseconds)."""


@dataclass(frozen=True, slots=True)
class PrincipalPolicies:
    """Every policy that speaks about what a principal may do. `boundary` None: none is set; `session` None: none was passed."""

    identity: Sequence[Policy]
    boundary: Policy | None = None
    session: Sequence[Policy] | None = None
    service_control: Sequence[Sequence[Policy]] = ()


class PolicySource(Protocol):
    """Where the gate finds a caller's own policies."""

    def of(self, tx: Tx, caller: Caller) -> PrincipalPolicies:
        """The policies that hold for `caller` in this very transaction. A caller who is no more has none.

        Raises Unsealable if a row that decides rights was not written by us.
        """
        ...


@dataclass(frozen=True, slots=True)
class Key:
    """An access key that may be used now: whose it is, and when it was marked as used (Unix milliseconds, None: never).

    `opens` gives its secret anew each time, so that a key can be kept without it. `until_ms`: when its session is over (Unix milliseconds);
    None: it has none.
    """

    opens: Callable[[], Plaintext]
    caller: Caller
    used_at_ms: int | None = None
    until_ms: int | None = None

    @property
    def secret(self) -> Plaintext:
        """Raises Unsealable if it was sealed for another key, owner or account."""
        return self.opens()

    def mark_is_due(self, now_ms: int) -> bool:
        """Whether the date of use should be written again. Never for temporary keys, which have no row."""
        long_term = self.caller.session is None
        return long_term and (self.used_at_ms is None or now_ms - self.used_at_ms >= MARK_EVERY_MS)


class Keyring(Protocol):
    """Where the door finds the secret behind an access key id."""

    def find(self, tx: Tx, access_key_id: str, session_token: str | None, now_ms: int) -> Key | None:
        """The key, or None if it is unknown, inactive, its owner is gone, or the token is not the one that belongs to it.

        Raises:
            ExpiredToken: the token is ours and the session behind it is over.
            Unsealable: the row is not the one we wrote.
        """
        ...

    def mark_used(self, tx: Tx, access_key_id: str, service: str, region: str, now_ms: int) -> None:
        """The key's date of use is `now_ms`. Call it behind a request whose `Key.mark_is_due`."""
        ...


def pass_role(role_arn: str, role: RoleFacts | None, service: str, resource_arn: str | None = None) -> Demand:
    """The demand that a caller who hands a role to a service must meet.

    `role` is None if there is no role of that ARN: the demand is the same, so a denial does not tell. `service` is a host name
    ("lambda.amazonaws.com").

    Source: iam:PassRole, iam:PassedToService, iam:AssociatedResourceArn; IAM User Guide.
    """
    account = role.account if role is not None else role_arn.split(":")[4] if role_arn.count(":") >= 5 else ""
    keys = {"iam:PassedToService": (service,)}
    if resource_arn is not None:
        keys["iam:AssociatedResourceArn"] = (resource_arn,)
    tags = {f"iam:ResourceTag/{key}": (value,) for key, value in (role.tags if role is not None else {}).items()}
    target = Target(arn=role_arn, shown=role_arn, account=account, tags=role.tags if role is not None else {})
    return Demand("iam:PassRole", target, {**keys, **tags})
