"""The Principal element: whom a resource's policy speaks of, and how directly.

Source: "AWS JSON policy elements: Principal" and "NotPrincipal", IAM user guide.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from geumgo.domain.policy.model import PolicyPrincipal

_AWS_KINDS = frozenset({"Root", "IAMUser", "AssumedRole", "FederatedUser"})
_FEDERATED_KINDS = frozenset({"WebIdentity", "SAML"})
_ACCOUNT = re.compile(r"(\d{12})", re.ASCII)
_ROOT = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):root", re.ASCII)
_NAMED = re.compile(
    r"arn:aws[a-z-]*:(?:iam::\d{12}:(?:user|role)/(?:[\x21-)+->@-\x7e]{1,510}/)?[\w+=,.@-]{1,64}"
    r"|sts::\d{12}:assumed-role/[\w+=,.@-]{1,64}/[\w+=,.@-]{2,64}"
    r"|sts::\d{12}:federated-user/[\w+=,.@-]{2,32})",
    re.ASCII,
)
_UNIQUE_ID = re.compile(r"A[A-Z0-9]{15,127}(?::[\w+=,.@-]{2,64})?", re.ASCII)  # a session's: its role's, and its name
_SERVICE = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+", re.ASCII)
_FEDERATED = re.compile(
    r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+(/[\x21-\x7e]*)?"
    r"|arn:aws[a-z-]*:iam::\d{12}:(saml-provider/[\w.-]{1,128}|oidc-provider/[\x21-\x7e]{1,255})",
    re.ASCII,
)
_CANONICAL = re.compile(r"[0-9a-f]{64}", re.ASCII)


class InvalidPrincipal(ValueError):
    """A principal of no known form. `shown` is how AWS names it: `"AWS":"arn:..."`."""

    def __init__(self, kind: str, value: str) -> None:
        super().__init__(kind)
        self.shown = f'"{kind}":"{value}"'


class Naming(IntEnum):
    """How directly a statement names a principal. What is granted to an account or a role has yet to pass the caller's own policies."""

    NOT = 0
    ACCOUNT = 1  # its account: authority is delegated to the account's own policies
    ROLE = 2  # the role (or federating user) behind the session: boundary and session policies still limit
    DIRECT = 3  # the user, the session, the service, the provider, or everybody: nothing but a deny stands against it


@dataclass(frozen=True, slots=True)
class Principals:
    """A Principal or NotPrincipal element (`negated`) of a statement that allows or denies.

    `names` are the ARNs and unique ids as the document has them; roots are among the `accounts`.
    """

    allows: bool
    everybody: bool
    accounts: frozenset[str]
    names: frozenset[str]
    services: frozenset[str]
    federated: frozenset[str]
    negated: bool

    def naming(self, who: PolicyPrincipal, *, bounded: bool = False) -> Naming:
        """How directly the element speaks of `who`, who is `bounded` if a permissions boundary is set.

        A NotPrincipal, which stands only beside Deny, spares a principal only if all that it consists of is listed: the
        account, the role or user, and the session. One with a boundary it never spares, whoever is listed. Source: key
        points of "NotPrincipal", and "Permissions boundaries for IAM entities", IAM user guide.

        Unverified: that `*` beside Allow speaks of no web identity and no SAML assertion. Anybody in the world can get a token from some
        providers, so a provider must be named; beside Deny `*` speaks of all.
        """
        if not self.negated:
            return self._listed(who)
        spared = not bounded and (self.everybody or self._lists_all_of(who))
        return Naming.NOT if spared else Naming.DIRECT

    def _listed(self, who: PolicyPrincipal) -> Naming:
        if self.everybody and not (self.allows and who.kind in _FEDERATED_KINDS):
            return Naming.DIRECT
        if who.kind in _AWS_KINDS:
            names = self.names
            if who.arn in names or who.unique_id in names:
                return Naming.DIRECT
            if who.role_arn in names or who.role_id in names:
                return Naming.ROLE
            return Naming.ACCOUNT if who.account in self.accounts else Naming.NOT
        if who.kind == "AWSService":
            return Naming.DIRECT if who.service in self.services else Naming.NOT
        return Naming.DIRECT if who.federated is not None and who.federated in self.federated else Naming.NOT

    def _lists_all_of(self, who: PolicyPrincipal) -> bool:
        if who.kind not in _AWS_KINDS:
            return self._listed(who) is Naming.DIRECT
        if who.account not in self.accounts:
            return False
        if who.kind == "Root":
            return True
        behind = (who.role_arn, who.role_id)
        if any(behind) and not any(name in self.names for name in behind):
            return False
        return who.arn in self.names or who.unique_id in self.names


def compile_principals(element: str | Mapping[str, Any], *, allows: bool, negated: bool) -> Principals:
    """The principals that a Principal element lists. Its values are strings or lists of strings: the caller has looked.

    Raises:
        InvalidPrincipal: one is of no known form. Groups and partial wildcards are none.
    """
    if isinstance(element, str):
        if element != "*":
            raise InvalidPrincipal("AWS", element)
        element = {"AWS": "*"}
    listed = {kind: [values] if isinstance(values, str) else list(values) for kind, values in element.items()}
    aws = listed.get("AWS", [])
    for kind, values in listed.items():
        for value in values:
            if not _is_valid(kind, value):
                raise InvalidPrincipal(kind if kind == "AWS" else kind.upper(), value)
    accounts = frozenset(account[1] for account in map(_account, aws) if account)
    return Principals(
        allows=allows,
        everybody="*" in aws,
        accounts=accounts,
        names=frozenset(value for value in aws if value != "*" and not _account(value)),
        services=frozenset(listed.get("Service", [])),
        federated=frozenset(listed.get("Federated", [])),
        negated=negated,
    )


def _account(value: str) -> re.Match[str] | None:
    return _ACCOUNT.fullmatch(value) or _ROOT.fullmatch(value)


def _is_valid(kind: str, value: str) -> bool:
    match kind:
        case "AWS":
            forms = (_NAMED, _UNIQUE_ID)
            return value == "*" or bool(_account(value)) or any(form.fullmatch(value) for form in forms)
        case "Service":
            return bool(_SERVICE.fullmatch(value))
        case "Federated":
            return bool(_FEDERATED.fullmatch(value))
        case "CanonicalUser":
            return bool(_CANONICAL.fullmatch(value))
        case _:
            return False
