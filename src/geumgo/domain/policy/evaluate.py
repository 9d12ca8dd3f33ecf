"""The order in which policies have their say: one question, everything that stands around it, one decision."""

from collections.abc import Sequence
from enum import Enum
from typing import Literal, NamedTuple

from geumgo.domain.policy.match import Policy
from geumgo.domain.policy.model import Asked


class Reason(Enum):
    """Why. The value of a denial is the tail of AWS's sentence; `{action}` stands for the action."""

    ALLOWED_BY_IDENTITY_POLICY = "allowed by an identity-based policy"
    ALLOWED_BY_RESOURCE_POLICY = "allowed by a resource-based policy"
    ALLOWED_AS_ROOT = "allowed as the account's root user"
    ALLOWED_BY_GRANT = "allowed by a grant"
    DENIED_IN_IDENTITY_POLICY = "with an explicit deny in an identity-based policy"
    DENIED_IN_RESOURCE_POLICY = "with an explicit deny in a resource-based policy"
    DENIED_IN_TRUST_POLICY = "with an explicit deny in the role trust policy"
    DENIED_IN_BOUNDARY = "with an explicit deny in a permissions boundary"
    DENIED_IN_SESSION_POLICY = "with an explicit deny in a session policy"
    DENIED_IN_SERVICE_CONTROL_POLICY = "with an explicit deny in a service control policy"
    DENIED_IN_RESOURCE_CONTROL_POLICY = "with an explicit deny in a resource control policy"
    NO_IDENTITY_POLICY = "because no identity-based policy allows the {action} action"
    NO_RESOURCE_POLICY = "because no resource-based policy allows the {action} action"
    NO_TRUST_POLICY = "because no role trust policy allows the {action} action"
    NO_BOUNDARY = "because no permissions boundary allows the {action} action"
    NO_SESSION_POLICY = "because no session policy allows the {action} action"
    NO_SERVICE_CONTROL_POLICY = "because no service control policy allows the {action} action"
    NO_RESOURCE_CONTROL_POLICY = "because no resource control policy allows the {action} action"


class Decision(NamedTuple):
    """The answer, and the statement that gave it: `policy` is its policy's name, `statement` its Sid or its number from 1 ("#1").

    Both are empty where no statement decided.
    """

    allowed: bool
    reason: Reason
    policy: str = ""
    statement: str = ""


class Standing(NamedTuple):
    """Every policy that has a say in one question.

    `identity` are the caller's own and its groups' policies (or its role's). `boundary` None: no boundary is set. `session` None: no
    session policy was passed. `resource` is the policy attached to the resource. With `resource_rule` "either" an allow from one side
    is enough inside an account; with "required" (KMS keys, role trust) the resource's policy must allow, itself or by delegating to the
    account. `service_control` and `resource_control` hold one sequence per level (root, unit, account): each level must allow.
    `grant` is the id of a KMS grant that permits this very request.
    """

    identity: Sequence[Policy] = ()
    boundary: Policy | None = None
    session: Sequence[Policy] | None = None
    resource: Policy | None = None
    resource_rule: Literal["either", "required"] = "either"
    service_control: Sequence[Sequence[Policy]] = ()
    grant: str | None = None
    resource_control: Sequence[Sequence[Policy]] = ()


def decide(asked: Asked, standing: Standing) -> Decision:
    """Whether the policies of `standing` allow what is `asked`, and which statement or missing statement made it so."""
    raise NotImplementedError(asked, standing)


def denial_tail(decision: Decision, action: str) -> str:
    """The end of AWS's sentence about a denial, from "because" or "with" on."""
    return decision.reason.value.replace("{action}", action)
