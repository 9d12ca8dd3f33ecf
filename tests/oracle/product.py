"""A world put to the product: its documents compiled, its question decided, its reason in the evaluator's words."""

import json
from typing import Any

from geumgo.domain.policy import (
    Asked,
    Context,
    Decision,
    Policy,
    PolicyKind,
    PolicyPrincipal,
    Reason,
    Standing,
    compile_policy,
    decide,
)
from tests.oracle.evaluator import Verdict

REASONS = {
    Reason.ALLOWED_BY_IDENTITY_POLICY: "allow:identity",
    Reason.ALLOWED_BY_RESOURCE_POLICY: "allow:resource",
    Reason.ALLOWED_AS_ROOT: "allow:root",
    Reason.ALLOWED_BY_GRANT: "allow:grant",
    Reason.DENIED_IN_IDENTITY_POLICY: "deny:identity",
    Reason.DENIED_IN_RESOURCE_POLICY: "deny:resource",
    Reason.DENIED_IN_TRUST_POLICY: "deny:resource",
    Reason.DENIED_IN_BOUNDARY: "deny:boundary",
    Reason.DENIED_IN_SESSION_POLICY: "deny:session",
    Reason.DENIED_IN_SERVICE_CONTROL_POLICY: "deny:service_control",
    Reason.DENIED_IN_RESOURCE_CONTROL_POLICY: "deny:resource_control",
    Reason.NO_IDENTITY_POLICY: "no:identity",
    Reason.NO_RESOURCE_POLICY: "no:resource",
    Reason.NO_TRUST_POLICY: "no:trust",
    Reason.NO_BOUNDARY: "no:boundary",
    Reason.NO_SESSION_POLICY: "no:session",
    Reason.NO_SERVICE_CONTROL_POLICY: "no:service_control",
    Reason.NO_RESOURCE_CONTROL_POLICY: "no:resource_control",
}
RESOURCE_KINDS = {"RESOURCE": PolicyKind.RESOURCE, "KEY": PolicyKind.KEY, "TRUST": PolicyKind.TRUST}


def decided(world: dict[str, Any]) -> Decision:
    """The product's answer.

    Raises:
        MalformedPolicy: the product refuses one of the documents.
    """
    return decide(asked(world), standing(world))


def asked(world: dict[str, Any]) -> Asked:
    context = Context({name: tuple(values) for name, values in world["context"].items()})
    principal = PolicyPrincipal(**world["principal"])
    return Asked(principal, world["action"], world["resource"], world["resource_account"], context)


def standing(world: dict[str, Any]) -> Standing:
    resource, session, boundary = world["resource_policy"], world["session"], world["boundary"]
    kind = RESOURCE_KINDS[world["resource_kind"]]
    return Standing(
        identity=_compiled(world["identity"], PolicyKind.IDENTITY),
        boundary=_compiled([boundary], PolicyKind.BOUNDARY)[0] if boundary is not None else None,
        session=_compiled(session, PolicyKind.SESSION) if session is not None else None,
        resource=_compiled([resource], kind)[0] if resource is not None else None,
        resource_rule="either" if world["resource_kind"] == "RESOURCE" else "required",
        service_control=[_compiled(level, PolicyKind.SERVICE_CONTROL) for level in world["service_control"]],
        grant=world["grant"],
        resource_control=[_compiled(level, PolicyKind.RESOURCE_CONTROL) for level in world["resource_control"]],
    )


def _compiled(documents: list[dict[str, Any]], kind: PolicyKind) -> list[Policy]:
    return [compile_policy(json.dumps(document), kind, name="policy") for document in documents]


def disagree(theirs: Decision, ours: Verdict) -> bool:
    """Another answer, or a reason that the documentation does not admit."""
    return theirs.allowed is not ours.allowed or REASONS[theirs.reason] not in ours.because
