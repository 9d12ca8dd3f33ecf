"""Who exists in this site: what rooms other than iam may learn of roles, users and identity providers.

iam keeps them, `app` hands its answer to every `Context`. Rooms that keep policies ask `exists` before they store a principal; sts
finds here what it needs to make and to honour a session.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from geumgo.domain.policy import Policy
from geumgo.storage import Tx


@dataclass(frozen=True, slots=True)
class RoleFacts:
    """A role as sessions see it. `id` (AROA...) is its identity: a role that is made again under its name is another one."""

    id: str
    account: str
    arn: str
    name: str
    trust: Policy
    max_session_s: int
    tags: Mapping[str, str]
    not_before_ms: int  # sessions issued before this moment (Unix milliseconds) are over


@dataclass(frozen=True, slots=True)
class UserFacts:
    """A user as sessions see it. `id` (AIDA...) is its identity."""

    id: str
    account: str
    arn: str
    name: str
    tags: Mapping[str, str]
    not_before_ms: int


@dataclass(frozen=True, slots=True)
class ProviderFacts:
    """A registered OpenID Connect provider. `issuer` has no scheme; `jwks` is the pinned key set (JSON text), None if there is none."""

    arn: str
    account: str
    issuer: str
    audiences: frozenset[str]
    jwks: str | None


@dataclass(frozen=True, slots=True)
class Login:
    """A user who may sign in with a password. `mark` changes with every password that is set; `hashed` is what it is compared with.

    `change_required`: he may only change it. `serials` are those of his MFA devices.
    """

    user: UserFacts
    mark: str
    hashed: str
    change_required: bool
    serials: tuple[str, ...]


class UnknownPrincipal(Exception):
    """A policy names somebody who does not exist. `message` is IAM's sentence about it, safe to show."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Principals(Protocol):
    """The questions. Each raises Unsealable if the row that answers it is not the one we wrote."""

    def exists(self, tx: Tx, principal: str) -> bool:
        """Whether a policy may name `principal`: an ARN, an account id, a unique id, a service's host name, `*`."""
        ...

    def pin(self, tx: Tx, document: str) -> str:
        """A valid policy document as it is to be kept: its users, roles and sessions by unique id, so that nobody inherits a name.

        Raises UnknownPrincipal for the first one that does not exist.
        """
        ...

    def unpin(self, tx: Tx, document: str) -> str:
        """A kept document as people read it: ARNs again, but for those who are gone, whose ids stay."""
        ...

    def unique_id(self, tx: Tx, arn: str) -> str | None:
        """The unique id of the user, role or session with exactly this ARN: what is kept of somebody who is given something.

        That of a session is its role's, a colon and its name, as in aws:userid; whether there is such a session is kept nowhere.
        """
        ...

    def arn_of(self, tx: Tx, unique_id: str) -> str | None:
        """The ARN that the user, role or session with this unique id has now, None if it (or its role) is gone."""
        ...

    def role(self, tx: Tx, arn: str) -> RoleFacts | None:
        """The role with exactly this ARN, path included."""
        ...

    def role_by_id(self, tx: Tx, role_id: str) -> RoleFacts | None: ...

    def user_by_id(self, tx: Tx, user_id: str) -> UserFacts | None: ...

    def key_is_active(self, tx: Tx, access_key_id: str) -> bool:
        """Whether a long-term access key exists and is active."""
        ...

    def take_code(self, tx: Tx, user_id: str, serial: str, code: str, now_ms: int) -> bool:
        """Whether `code` is one of the user's MFA device `serial`, now. It is used up then, if this (writing) transaction commits."""
        ...

    def login(self, tx: Tx, account: str, user_name: str, now_ms: int) -> tuple[str | None, Login | None]:
        """The account with that id or alias, and who may sign in there under that name. The same rows are looked for in each case."""
        ...

    def password_mark(self, tx: Tx, user_id: str) -> str | None:
        """`Login.mark` of the user's present password, None if he has none."""
        ...

    def managed_policy(self, tx: Tx, account: str, arn: str) -> str | None:
        """The default version's document of a managed policy of `account` or of AWS's own, or None."""
        ...

    def provider(self, tx: Tx, account: str, issuer: str) -> ProviderFacts | None:
        """The provider that `account` has registered for `issuer` (a URL without its scheme)."""
        ...

    def mark_of_use(self, tx: Tx, role_id: str, region: str, now_ms: int) -> Callable[[Tx], None] | None:
        """The write after which the role's date of use is `now_ms`; None while it was marked less than an hour ago."""
        ...


class NoPrincipals:
    """Nobody exists: what a Context has that was not told otherwise. Every question is answered with no."""

    def exists(self, tx: Tx, principal: str) -> bool:  # noqa: ARG002
        return False

    def pin(self, tx: Tx, document: str) -> str:  # noqa: ARG002
        raise UnknownPrincipal("Invalid principal in policy")

    def unpin(self, tx: Tx, document: str) -> str:  # noqa: ARG002
        return document

    def unique_id(self, tx: Tx, arn: str) -> str | None:  # noqa: ARG002
        return None

    def arn_of(self, tx: Tx, unique_id: str) -> str | None:  # noqa: ARG002
        return None

    def role(self, tx: Tx, arn: str) -> RoleFacts | None:  # noqa: ARG002
        return None

    def role_by_id(self, tx: Tx, role_id: str) -> RoleFacts | None:  # noqa: ARG002
        return None

    def user_by_id(self, tx: Tx, user_id: str) -> UserFacts | None:  # noqa: ARG002
        return None

    def key_is_active(self, tx: Tx, access_key_id: str) -> bool:  # noqa: ARG002
        return False

    def take_code(self, tx: Tx, user_id: str, serial: str, code: str, now_ms: int) -> bool:  # noqa: ARG002
        return False

    def login(self, tx: Tx, account: str, user_name: str, now_ms: int) -> tuple[str | None, Login | None]:  # noqa: ARG002
        return None, None

    def password_mark(self, tx: Tx, user_id: str) -> str | None:  # noqa: ARG002
        return None

    def managed_policy(self, tx: Tx, account: str, arn: str) -> str | None:  # noqa: ARG002
        return None

    def provider(self, tx: Tx, account: str, issuer: str) -> ProviderFacts | None:  # noqa: ARG002
        return None

    def mark_of_use(self, tx: Tx, role_id: str, region: str, now_ms: int) -> Callable[[Tx], None] | None:  # noqa: ARG002
        return None


NO_PRINCIPALS = NoPrincipals()
