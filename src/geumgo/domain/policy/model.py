"""The plain values of a decision: who asks for what under which circumstances, and the kinds of policy that have a say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal, NamedTuple

Values = tuple[str, ...]
LazyValues = Callable[[], Values | None]

PrincipalKind = Literal[
    "Root", "IAMUser", "AssumedRole", "FederatedUser", "AWSService", "Anonymous", "WebIdentity", "SAML"
]


class PolicyKind(Enum):
    """What a policy is attached to. It decides which elements the document may have, and how a denial names it."""

    IDENTITY = "identity-based policy"
    RESOURCE = "resource-based policy"
    KEY = "key policy"
    TRUST = "role trust policy"
    SESSION = "session policy"
    BOUNDARY = "permissions boundary"
    SERVICE_CONTROL = "service control policy"
    RESOURCE_CONTROL = "resource control policy"


class MalformedPolicy(Exception):
    """The document is not a policy of the kind asked for. `message` is a sentence in IAM's words, safe to show to the caller."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class Context:
    """The condition keys of one request, found by name in any case.

    `layers` map names to values; a value is a tuple of strings, or a function that gives one (or None) and is called at
    most once, when a policy first asks. An empty tuple and None mean that the key is absent. Of layers that share a
    name the last one wins. Within one layer, names that differ only in case are one key with the values of both.

    Nothing is folded or called until a policy with a condition or a variable asks. `asked` are the names that were asked for.
    """

    __slots__ = ("_folded", "_layers", "asked")

    def __init__(self, *layers: Mapping[str, Values | LazyValues]) -> None:
        self._layers = layers
        self.asked: set[str] = set()
        self._folded: dict[str, Values | LazyValues] | None = None

    def get(self, name: str) -> Values | None:
        """The values of the key `name`, which must be in lower case, or None if the request does not carry it."""
        self.asked.add(name)
        folded = self._folded
        if folded is None:
            folded = self._folded = self._fold()
        values = folded.get(name)
        if callable(values):
            values = folded[name] = values() or ()
        return values or None

    def _fold(self) -> dict[str, Values | LazyValues]:
        folded: dict[str, Values | LazyValues] = {}
        for layer in self._layers:
            own = {name.lower(): values for name, values in layer.items()}
            folded.update(own if len(own) == len(layer) else _with_twins_joined(layer))
        return folded


def _with_twins_joined(layer: Mapping[str, Values | LazyValues]) -> dict[str, Values | LazyValues]:
    joined: dict[str, Values] = {}
    for name, values in layer.items():
        joined[name.lower()] = joined.get(name.lower(), ()) + _settled(values)
    return dict(joined)


def _settled(values: Values | LazyValues) -> Values:
    return (values() or ()) if callable(values) else values


@dataclass(frozen=True, slots=True)
class PolicyPrincipal:
    """Who asks, as policies see it.

    `arn` and `unique_id` name the principal itself: the user (AIDA...), the session
    (arn:aws:sts::...:assumed-role/app/name, AROA...:name), the federated user. `role_arn` and `role_id` name what
    stands behind a session: the role with its path, or the user that asked for a federated session. `service` is the
    host name of an AWS service ("lambda.amazonaws.com"), `federated` the identity provider behind a web identity or
    SAML assertion, as a Principal element names it. `account` is twelve digits, empty for Anonymous and for services.
    """

    kind: PrincipalKind
    account: str
    arn: str
    unique_id: str
    role_arn: str | None = None
    role_id: str | None = None
    service: str | None = None
    federated: str | None = None


class Asked(NamedTuple):
    """The question: may `principal` do `action` ("secretsmanager:GetSecretValue") on `resource`?

    `resource` is the full ARN, or "*" for an action that knows no resources. `resource_account` owns it; for an action
    without resources it is the account that the call goes to.
    """

    principal: PolicyPrincipal
    action: str
    resource: str
    resource_account: str
    context: Context
