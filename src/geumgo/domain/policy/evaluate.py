"""The order in which policies have their say: one question, everything that stands around it, one decision.

Source: "Policy evaluation logic" and "Cross-account policy evaluation logic", IAM user guide; "Key policies" and
"Grants", KMS developer guide (both demand the resource's own consent); "Troubleshoot access denied error messages", IAM
user guide (the words).
"""

from collections.abc import Sequence
from enum import Enum
from typing import Literal, NamedTuple

from geumgo.domain.policy.match import Policy, Statement
from geumgo.domain.policy.model import Asked, PolicyKind
from geumgo.domain.policy.principals import Naming


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

    Both are empty where no statement decided. For a grant, `statement` is its id.
    """

    allowed: bool
    reason: Reason
    policy: str = ""
    statement: str = ""


class Standing(NamedTuple):
    """Every policy that has a say in one question.

    `identity` are the caller's own and its groups' policies (or its role's). `boundary` None: no boundary is set.
    `session` None: no session policy was passed. `resource` is the policy attached to the resource. With
    `resource_rule` "either" an allow from one side is enough inside an account; with "required" (KMS keys, role trust)
    the resource's policy must allow, itself or by delegating to the account. `service_control` and `resource_control`
    hold one sequence per level (root, unit, account): each level must allow. `grant` is the id of a KMS grant that
    permits this very request.
    """

    identity: Sequence[Policy] = ()
    boundary: Policy | None = None
    session: Sequence[Policy] | None = None
    resource: Policy | None = None
    resource_rule: Literal["either", "required"] = "either"
    service_control: Sequence[Sequence[Policy]] = ()
    grant: str | None = None
    resource_control: Sequence[Sequence[Policy]] = ()


_OUTSIDERS = frozenset({"AWSService", "Anonymous", "WebIdentity", "SAML"})  # no account's policies speak for them


def decide(asked: Asked, standing: Standing) -> Decision:
    """Whether the policies of `standing` allow what is `asked`, and which statement or missing statement made it so.

    An explicit deny anywhere wins. Then the organization's policies must allow, then a grant is enough, then the
    resource's policy and the caller's own policies decide together.

    Unverified: which denial AWS names if several would do. Here it is the first in the order of evaluation.
    """
    denial = explicit_denial(asked, standing)
    if denial is not None:
        return denial
    outsider = asked.principal.kind in _OUTSIDERS
    for level in standing.resource_control:
        if _allowing(level, asked) is None:
            return Decision(False, Reason.NO_RESOURCE_CONTROL_POLICY)
    if not outsider:
        for level in standing.service_control:
            if _allowing(level, asked) is None:
                return Decision(False, Reason.NO_SERVICE_CONTROL_POLICY)
    if standing.grant is not None:
        return Decision(True, Reason.ALLOWED_BY_GRANT, "", standing.grant)
    naming, statement = _granting(standing.resource, asked)
    if outsider:
        return _resource_decision(standing.resource, statement) if statement else _no_consent(standing)
    if asked.principal.account == asked.resource_account:
        if naming is Naming.DIRECT:
            return _resource_decision(standing.resource, statement)
        if naming is Naming.NOT and standing.resource_rule == "required":
            return _no_consent(standing)
        return _own_decision(asked, standing, statement if naming is Naming.ROLE else None)
    return _own_decision(asked, standing, None) if statement else _no_consent(standing)


def _own_decision(asked: Asked, standing: Standing, granting: Statement | None) -> Decision:
    """What the caller's own policies make of it.

    `granting` is the statement of the resource's policy that names the caller's role: it takes the place of an identity-based allow,
    but not of the boundary's or the session's.
    """
    if asked.principal.kind == "Root":
        decision = Decision(True, Reason.ALLOWED_AS_ROOT)
    else:
        found = _allowing(standing.identity, asked)
        if found is not None:
            decision = Decision(True, Reason.ALLOWED_BY_IDENTITY_POLICY, found[0].name, found[1].label)
        elif granting is not None:
            decision = _resource_decision(standing.resource, granting)
        else:
            return Decision(False, Reason.NO_IDENTITY_POLICY)
    if standing.boundary is not None and _allowing((standing.boundary,), asked) is None:
        return Decision(False, Reason.NO_BOUNDARY)
    if standing.session is None:
        if asked.principal.kind == "FederatedUser":
            return Decision(False, Reason.NO_SESSION_POLICY)
    elif _allowing(standing.session, asked) is None:
        return Decision(False, Reason.NO_SESSION_POLICY)
    return decision


def explicit_denial(asked: Asked, standing: Standing) -> Decision | None:
    """The denial by a statement that says Deny, or None. What nobody allows is not denied in this sense."""
    for level in standing.resource_control:
        if (found := _denying(level, asked)) is not None:
            return _denied(Reason.DENIED_IN_RESOURCE_CONTROL_POLICY, found)
    for level in standing.service_control:
        if (found := _denying(level, asked)) is not None:
            return _denied(Reason.DENIED_IN_SERVICE_CONTROL_POLICY, found)
    resource, bounded = standing.resource, standing.boundary is not None
    if resource is not None and (found := _denying((resource,), asked, bounded=bounded)) is not None:
        trust = resource.kind is PolicyKind.TRUST
        return _denied(Reason.DENIED_IN_TRUST_POLICY if trust else Reason.DENIED_IN_RESOURCE_POLICY, found)
    if (found := _denying(standing.identity, asked)) is not None:
        return _denied(Reason.DENIED_IN_IDENTITY_POLICY, found)
    if standing.boundary is not None and (found := _denying((standing.boundary,), asked)) is not None:
        return _denied(Reason.DENIED_IN_BOUNDARY, found)
    if standing.session and (found := _denying(standing.session, asked)) is not None:
        return _denied(Reason.DENIED_IN_SESSION_POLICY, found)
    return None


_Found = tuple[Policy, Statement]


def _denying(policies: Sequence[Policy], asked: Asked, *, bounded: bool = False) -> _Found | None:
    """The first statement that denies, with its policy. Only a resource's policy asks whether the caller is `bounded`."""
    for policy in policies:
        for statement in policy.speaking_of(asked.action)[0]:
            if statement.covers(asked) and statement.naming(asked.principal, bounded=bounded):
                return policy, statement
    return None


def _allowing(policies: Sequence[Policy], asked: Asked) -> _Found | None:
    """The first statement that allows, with its policy."""
    for policy in policies:
        for statement in policy.speaking_of(asked.action)[1]:
            if statement.covers(asked) and statement.naming(asked.principal):
                return policy, statement
    return None


def _granting(policy: Policy | None, asked: Asked) -> tuple[Naming, Statement | None]:
    """How directly the resource's policy allows the caller, and the first of the statements that do so most directly.

    A statement without Principal grants nothing here: it would speak of nobody in particular.
    """
    best, chosen = Naming.NOT, None
    if policy is None:
        return best, chosen
    for statement in policy.speaking_of(asked.action)[1]:
        naming = Naming.NOT if statement.principals is None else statement.naming(asked.principal)
        if naming > best and statement.covers(asked):
            best, chosen = naming, statement
    return best, chosen


def _resource_decision(policy: Policy | None, statement: Statement | None) -> Decision:
    assert policy is not None
    assert statement is not None
    return Decision(True, Reason.ALLOWED_BY_RESOURCE_POLICY, policy.name, statement.label)


def _no_consent(standing: Standing) -> Decision:
    trust = standing.resource is not None and standing.resource.kind is PolicyKind.TRUST
    return Decision(False, Reason.NO_TRUST_POLICY if trust else Reason.NO_RESOURCE_POLICY)


def _denied(reason: Reason, found: _Found) -> Decision:
    policy, statement = found
    return Decision(False, reason, policy.name, statement.label)


def denial_tail(decision: Decision, action: str) -> str:
    """The end of AWS's sentence about a denial, from "because" or "with" on."""
    assert not decision.allowed
    return decision.reason.value.replace("{action}", action)
