"""Who may do what, decided slowly: every policy is a parsed JSON document, every rule a line that quotes its page.

Source: "Policy evaluation logic", "Cross-account policy evaluation logic", "Principal" and "NotPrincipal", IAM user
guide; "Key policies" and "Grants", KMS developer guide.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tests.oracle.conditions import Asking, alike, conditions_hold, listed, pattern
from tests.oracle.rules import AS_DOCUMENTED, Rules

Document = Mapping[str, Any]
World = Mapping[str, Any]

SESSIONS = {"AssumedRole", "FederatedUser"}


class Verdict(NamedTuple):
    """Allowed or not, and every reason that the documentation admits for it.

    A reason is "deny:KIND" for an explicit denial, "no:KIND" for a consent that lacks, "allow:KIND" for what grants.
    Where several kinds deny, lack or grant at once, the documentation does not say which of them is named.
    """

    allowed: bool
    because: frozenset[str]


def decide(world: World, rules: Rules = AS_DOCUMENTED) -> Verdict:
    """The answer that the documentation gives for one world. Names of condition keys mean the same in any case."""
    world = {**world, "context": {name.lower(): values for name, values in world["context"].items()}}
    standing = _standing(world)
    denials = {kind for kind, policies in standing if _applying(policies, "Deny", kind, world, rules)}
    if denials and rules.deny_comes_first:
        return Verdict(False, frozenset(f"deny:{kind}" for kind in denials))
    lacking = _lacking_organisation(world, rules)
    if lacking:
        return Verdict(False, frozenset(f"no:{kind}" for kind in lacking))
    return _consent(world, rules)


def _standing(world: World) -> list[tuple[str, list[Document]]]:
    """Every policy that may deny, by its kind."""
    return [
        ("resource_control", [document for level in world["resource_control"] for document in level]),
        ("service_control", [document for level in world["service_control"] for document in level]),
        ("resource", _one(world["resource_policy"])),
        ("identity", list(world["identity"])),
        ("boundary", _one(world["boundary"])),
        ("session", list(world["session"] or ())),
    ]


def _one(document: Document | None) -> list[Document]:
    return [] if document is None else [document]


def _lacking_organisation(world: World, rules: Rules) -> set[str]:
    """Resource and service control policies: at every level of the organisation one must allow."""
    lacking: set[str] = set()
    for kind in ("resource_control", "service_control"):
        levels = [bool(_applying(level, "Allow", kind, world, rules)) for level in world[kind]]
        if kind == "service_control" and not rules.service_control_limits:
            continue
        enough = all(levels) if rules.every_level_must_allow else any(levels) or not levels
        if not enough:
            lacking.add(kind)
    return lacking


def _consent(world: World, rules: Rules) -> Verdict:
    """What grants, once nothing denies and the organisation lets it pass."""
    principal = world["principal"]
    named = _names_of_allows(world, rules)
    if world["grant"] is not None:
        return Verdict(True, frozenset({"allow:grant", "allow:resource", "allow:identity"}))
    if not principal[
        "account"
    ]:  # no account stands behind: nobody there could give a policy, so the resource's decides
        return (
            Verdict(True, frozenset({"allow:resource"})) if named else Verdict(False, frozenset({_no_resource(world)}))
        )
    own = _own_side(world, rules)
    if principal["account"] != world["resource_account"]:
        return _across_accounts(world, own, bool(named), rules)
    if world["resource_kind"] in {"KEY", "TRUST"} and rules.required_policy_must_consent:
        return _where_the_resource_must_consent(world, own, named, rules)
    return _where_either_is_enough(world, own, named, rules)


def _own_side(world: World, rules: Rules) -> set[str]:
    """What lacks on the caller's own side: an identity policy, the boundary's consent, the session policy's consent."""
    principal = world["principal"]
    lacking = _limits(world, rules)
    if principal["kind"] == "Root" and rules.root_needs_no_policy:
        return lacking
    if not _applying(world["identity"], "Allow", "identity", world, rules):
        lacking.add("identity")
    return lacking


def _limits(world: World, rules: Rules) -> set[str]:
    """The policies that can only limit, and do not allow: a boundary that is set, a session policy that was passed.

    A federated user's session without a session policy is denied; a role's session without one is not limited.
    """
    lacking: set[str] = set()
    boundary, session = world["boundary"], world["session"]
    if boundary is not None and rules.boundary_limits and not _applying([boundary], "Allow", "boundary", world, rules):
        lacking.add("boundary")
    if session is not None and rules.session_policy_limits and not _applying(session, "Allow", "session", world, rules):
        lacking.add("session")
    if (
        session is None
        and world["principal"]["kind"] == "FederatedUser"
        and rules.federated_user_needs_a_session_policy
    ):
        lacking.add("session")
    return lacking


def _across_accounts(world: World, lacking: set[str], named: bool, rules: Rules) -> Verdict:
    """Two accounts evaluate, and both must allow: the caller's policies in one, the resource's policy in the other."""
    if not lacking and named:
        return Verdict(True, frozenset({"allow:identity", "allow:resource", "allow:root"}))
    if not rules.both_accounts_must_consent and (named or not lacking):
        return Verdict(True, frozenset({"allow:identity", "allow:resource"}))
    reasons = {f"no:{kind}" for kind in lacking} | (set() if named else {_no_resource(world)})
    return Verdict(False, frozenset(reasons))


def _where_either_is_enough(world: World, lacking: set[str], named: set[str], rules: Rules) -> Verdict:
    """Inside one account an allow from the caller's side or from the resource's is enough."""
    granting = set()
    if not lacking:
        granting.add("root" if world["principal"]["kind"] == "Root" else "identity")
    if _granted_by_resource(world, named, rules):
        granting.add("resource")
    if granting:
        return Verdict(True, frozenset(f"allow:{kind}" for kind in granting))
    return Verdict(False, frozenset(f"no:{kind}" for kind in lacking))


def _where_the_resource_must_consent(world: World, lacking: set[str], named: set[str], rules: Rules) -> Verdict:
    """Key policies and trust policies: without their consent nothing is allowed, not even to the root user.

    To name the account is to let the caller's own policies decide.
    """
    if not named:
        return Verdict(False, frozenset({_no_resource(world)} | {f"no:{kind}" for kind in lacking}))
    granting = set()
    if _granted_by_resource(world, named, rules):
        granting.add("resource")
    if (granting or "account" in named) and not lacking:
        granting |= {"identity", "root", "resource"}
    if granting:
        return Verdict(True, frozenset(f"allow:{kind}" for kind in granting))
    return Verdict(False, frozenset({_no_resource(world)} | {f"no:{kind}" for kind in lacking}))


def _granted_by_resource(world: World, named: set[str], rules: Rules) -> bool:
    """To name the caller itself (user, session, everyone) is final: only denials stand against it.

    To name the role behind a session, or the user behind a federated one, is limited by boundary and session policy.
    """
    if "itself" in named and rules.naming_the_session_is_final:
        return True
    if "account" in named and not rules.account_only_delegates:
        return True
    if "behind" in named and not rules.naming_the_role_is_limited:
        return True
    return bool(named & {"behind", "itself"}) and not _limits(world, rules)


def _no_resource(world: World) -> str:
    return "no:trust" if world["resource_kind"] == "TRUST" and world["resource_policy"] is not None else "no:resource"


def _names_of_allows(world: World, rules: Rules) -> set[str]:
    """By which names the resource's policy allows this request to the caller: itself, behind, account."""
    statements = _applying(_one(world["resource_policy"]), "Allow", "resource", world, rules)
    return {name for statement in statements for name in named_by(statement["Principal"], world["principal"])}


def _applying(documents: Iterable[Document], effect: str, kind: str, world: World, rules: Rules) -> list[Document]:
    """The statements of this effect that apply to the request."""
    found = []
    for document in documents:
        asking = Asking(world["context"], document.get("Version", "2008-10-17"), rules)
        statements = document["Statement"]
        for statement in statements if isinstance(statements, list) else [statements]:
            if statement["Effect"] == effect and _applies(statement, kind, world, asking):
                found.append(statement)
    return found


def _applies(statement: Document, kind: str, world: World, asking: Asking) -> bool:
    return (
        _action_applies(statement, world["action"], asking)
        and _resource_applies(statement, world["resource"], asking)
        and (kind not in {"resource", "resource_control"} or _principal_applies(statement, world, asking.rules))
        and conditions_hold(statement.get("Condition", {}), asking)
    )


def _action_applies(statement: Document, action: str, asking: Asking) -> bool:
    rules = asking.rules
    inverted = "NotAction" in statement
    wanted = listed(statement["NotAction" if inverted else "Action"])
    found = any(alike(tuple(one), action, heed_case=not rules.actions_ignore_case) for one in wanted)
    return found is not (inverted and rules.not_action_is_inverted)


def _resource_applies(statement: Document, resource: str, asking: Asking) -> bool:
    """A trust policy has no resource element: it is about the role that it hangs on."""
    rules = asking.rules
    if "Resource" not in statement and "NotResource" not in statement:
        return True
    inverted = "NotResource" in statement
    made = [pattern(one, asking) for one in listed(statement["NotResource" if inverted else "Resource"])]
    found = any(one is not None and alike(one, resource, heed_case=rules.resources_heed_case) for one in made)
    return found is not (inverted and rules.not_resource_is_inverted)


def _principal_applies(statement: Document, world: World, rules: Rules) -> bool:
    principal = world["principal"]
    if "Principal" in statement:
        return bool(named_by(statement["Principal"], principal))
    if (
        world["boundary"] is not None
    ):  # "will always deny any IAM principal that has a permissions boundary policy attached"
        return True
    return not spared_by(statement["NotPrincipal"], principal, rules)


def named_by(element: Any, principal: Mapping[str, Any]) -> set[str]:
    """How a Principal element names the caller: "itself", the one "behind" its session, its "account"."""
    if element == "*":
        return {"itself"}
    names: set[str] = set()
    for entry in listed(element.get("AWS", [])):
        if entry == "*" or entry in {principal["arn"], principal["unique_id"]}:
            names.add("itself")
        if principal["account"] and entry in {principal["account"], f"arn:aws:iam::{principal['account']}:root"}:
            names.add("account")
        if entry in {principal["role_arn"], principal["role_id"]}:
            names.add("behind")
    if principal["service"] in listed(element.get("Service", [])):
        names.add("itself")
    if principal["federated"] in listed(element.get("Federated", [])):
        names.add("itself")
    return names


def spared_by(element: Any, principal: Mapping[str, Any], rules: Rules) -> bool:
    """Is the caller one of the exceptions? AWS checks the account, then the role, then the session: each must be listed."""
    names = named_by(element, principal)
    needed = {"Root": {"account"}, "IAMUser": {"account", "itself"}}.get(principal["kind"], {"itself"})
    if principal["kind"] in SESSIONS:
        needed = {"account", "behind", "itself"}
    return needed <= names if rules.not_principal_names_every_level else bool(names)
