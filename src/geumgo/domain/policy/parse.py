"""From a policy document to a `Policy`, or to the sentence with which IAM refuses it.

The order of the checks is IAM's: the shape of every statement, the version, what its older parser refuses, Sids,
actions, resources. A document with two faults is refused for the first in that order. Source: recorded on AWS
(CreatePolicy); "Grammar of the IAM JSON policy language", IAM user guide; "SCP syntax" and "RCP syntax",
Organizations user guide.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from geumgo.domain.policy.conditions import Condition, UnknownOperator, compile_condition, operator_named
from geumgo.domain.policy.document import NotADocument, Number, read_document
from geumgo.domain.policy.match import Policy, Statement, compile_actions, compile_resources
from geumgo.domain.policy.model import MalformedPolicy, PolicyKind
from geumgo.domain.policy.principals import InvalidPrincipal, Principals, compile_principals
from geumgo.domain.policy.resource_names import legacy_parsing_fails, resource_fault
from geumgo.domain.policy.values import UnreadableValue
from geumgo.domain.policy.variables import UnreadableVariable

SYNTAX = "Syntax errors in policy."
LEGACY = "The policy failed legacy parsing"
VERSION = "Policy document must be version 2012-10-17 or greater."
NO_ACTIONS = "Policy statement must contain actions."
NO_RESOURCES = "Policy statement must contain resources."
NO_VENDOR = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
TWO_COLONS = "Actions/Condition can contain only one colon."
TWIN_SIDS = "Statement IDs (SID) in a single policy must be unique."
ODD_SID = (
    "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular expression [0-9A-Za-z]*"
)
NO_NOT_PRINCIPAL = "Has prohibited field NotPrincipal"
NOT_OF_THIS_TYPE = "The provided policy document does not meet the requirements of the specified policy type."
NO_PRINCIPAL_HERE = "Policy document should not specify a principal."
TRUST_ACTIONS = (
    "Trust Policy statement actions can only be sts:AssumeRole, "
    "sts:AssumeRoleWithSAML,  and sts:AssumeRoleWithWebIdentity"
)

_ELEMENTS = frozenset({"Version", "Id", "Statement"})
_STATEMENT_ELEMENTS = frozenset(
    {
        "Sid",
        "Effect",
        "Principal",
        "NotPrincipal",
        "Action",
        "NotAction",
        "Resource",
        "NotResource",
        "Condition",
    }
)
_VERSIONS = ("2008-10-17", "2012-10-17")
_VENDOR = re.compile(r"[a-zA-Z0-9.-]*|\*", re.ASCII)
_SID = re.compile(r"[0-9A-Za-z]*", re.ASCII)

_FOR_PRINCIPALS = frozenset({PolicyKind.IDENTITY, PolicyKind.SESSION, PolicyKind.BOUNDARY, PolicyKind.SERVICE_CONTROL})
_KEPT_BY_IAM = frozenset({PolicyKind.IDENTITY, PolicyKind.SESSION, PolicyKind.BOUNDARY, PolicyKind.TRUST})
_KEPT_BY_ORGANIZATIONS = frozenset({PolicyKind.SERVICE_CONTROL, PolicyKind.RESOURCE_CONTROL})
_NEWEST_VERSION_ONLY = frozenset({PolicyKind.IDENTITY, PolicyKind.BOUNDARY}) | _KEPT_BY_ORGANIZATIONS


def compile_policy(document: str, kind: PolicyKind, *, name: str = "", stored: bool = False) -> Policy:
    """The policy that `document` (JSON text) describes.

    `stored` is for one that was taken before and is now to decide. A trust policy may then have a NotPrincipal beside
    Deny, as older editions of the language let it: it goes on denying.

    Raises:
        MalformedPolicy: it is not a policy of this kind; the message is IAM's, or Organizations' where that keeps the kind.
    """
    tree = _read(document, kind)
    statements = _statements(tree, kind)
    for statement in statements:
        _check_shape(statement, kind, stored=stored)
    if kind in _NEWEST_VERSION_ONLY and tree.get("Version") != "2012-10-17":
        raise MalformedPolicy(NOT_OF_THIS_TYPE if kind in _KEPT_BY_ORGANIZATIONS else VERSION)
    variables = tree.get("Version") == "2012-10-17"
    conditions = [_conditions(statement, variables=variables) for statement in statements]
    _check_effects_and_resources(statements)
    _check_sids(statements, kind)
    _check_elements(statements, kind)
    compiled = tuple(
        _compiled(statement, number, conditions[number - 1], variables=variables)
        for number, statement in enumerate(statements, 1)
    )
    return Policy(document, kind, name, compiled)


def _read(document: str, kind: PolicyKind) -> dict[str, Any]:
    try:
        tree = read_document(document)
    except NotADocument:
        raise MalformedPolicy("This policy contains invalid Json" if kind is PolicyKind.TRUST else SYNTAX) from None
    _refuse_unknown(tree, _ELEMENTS, kind)
    if tree.get("Version", "2008-10-17") not in _VERSIONS or not isinstance(tree.get("Id", ""), str):
        raise MalformedPolicy(SYNTAX)
    return tree


def _statements(tree: Mapping[str, Any], kind: PolicyKind) -> list[dict[str, Any]]:
    found = tree.get("Statement")
    statements: list[dict[str, Any]] = []
    for statement in found if isinstance(found, list) else [found]:
        if not isinstance(statement, dict):
            raise MalformedPolicy(SYNTAX)
        _refuse_unknown(statement, _STATEMENT_ELEMENTS, kind)
        statements.append(statement)
    if not statements:
        raise MalformedPolicy(SYNTAX)
    return statements


def _refuse_unknown(tree: Mapping[str, Any], known: frozenset[str], kind: PolicyKind) -> None:
    unknown = next((element for element in tree if element not in known), None)
    if unknown is not None:
        raise MalformedPolicy(f"Unknown field {unknown}" if kind is PolicyKind.TRUST else SYNTAX)


def _check_shape(statement: Mapping[str, Any], kind: PolicyKind, *, stored: bool) -> None:
    """Every element has the type that the grammar gives it, and none stands beside its opposite."""
    for element in ("Action", "Resource", "Principal"):
        if element in statement and f"Not{element}" in statement:
            raise MalformedPolicy(SYNTAX)
    for element in ("Action", "NotAction", "Resource", "NotResource"):
        if element in statement and not _is_text_or_texts(statement[element]):
            raise MalformedPolicy(SYNTAX)
    effect = statement.get("Effect")
    if not isinstance(effect, str) or effect.lower() not in ("allow", "deny"):
        raise MalformedPolicy(SYNTAX)
    if not isinstance(statement.get("Sid", ""), str):
        raise MalformedPolicy(SYNTAX)
    _check_condition_shape(statement.get("Condition", {}))
    _check_principal_shape(statement, kind, stored=stored)


def _check_condition_shape(element: object) -> None:
    if not isinstance(element, dict):
        raise MalformedPolicy(SYNTAX)
    for name, keys in element.items():
        if not isinstance(keys, dict):
            raise MalformedPolicy(SYNTAX)
        for values in keys.values():
            listed = values if isinstance(values, list) else [values]
            if not all(isinstance(value, str | bool | Number) for value in listed):
                raise MalformedPolicy(SYNTAX)
        if keys:  # an operator without keys says nothing, and IAM lets it have any name
            try:
                operator_named(name)
            except UnknownOperator:
                raise MalformedPolicy(SYNTAX) from None


def _check_principal_shape(statement: Mapping[str, Any], kind: PolicyKind, *, stored: bool) -> None:
    """Who may be named depends on what the policy is attached to. Source: recorded on AWS, CreatePolicy and CreateRole."""
    element = statement.get("Principal", statement.get("NotPrincipal"))
    named = "Principal" in statement or "NotPrincipal" in statement
    if kind in _FOR_PRINCIPALS:
        if named:
            raise MalformedPolicy(NO_PRINCIPAL_HERE)
        return
    if not named:
        raise MalformedPolicy("Missing required field Principal")
    if "NotPrincipal" in statement:
        _check_not_principal(kind, allows=statement["Effect"].lower() == "allow", stored=stored)
    if isinstance(element, str):
        if kind is PolicyKind.TRUST:
            shown = "STAR" if element == "*" else "AWS"
            raise MalformedPolicy(f'AssumeRolepolicy contained an invalid principal: "{shown}":"{element}".')
        return
    if not isinstance(element, dict) or not element:
        raise MalformedPolicy(SYNTAX)
    if not all(values != [] and _is_text_or_texts(values) for values in element.values()):
        raise MalformedPolicy(SYNTAX)


def _check_not_principal(kind: PolicyKind, *, allows: bool, stored: bool) -> None:
    """NotPrincipal has its place beside Deny, in the policies of resources and keys.

    Source: "NotPrincipal", IAM user guide; "RCP syntax", Organizations user guide (the element is not among its own);
    the sentence of Organizations as users report it. Unverified: the other sentences.
    """
    if kind is PolicyKind.RESOURCE_CONTROL:
        raise MalformedPolicy(NOT_OF_THIS_TYPE)
    if kind is PolicyKind.TRUST and (allows or not stored):
        raise MalformedPolicy(NO_NOT_PRINCIPAL)
    if allows:
        raise MalformedPolicy(SYNTAX)


def _conditions(statement: Mapping[str, Any], *, variables: bool) -> tuple[Condition, ...]:
    """The conditions of a statement. A date that cannot be read fails IAM's older parser; so do, unverified, other values."""
    try:
        return tuple(
            compile_condition(name, key, _texts(values), variables=variables)
            for name, keys in statement.get("Condition", {}).items()
            for key, values in keys.items()
        )
    except UnreadableValue:
        raise MalformedPolicy(LEGACY) from None
    except UnreadableVariable:
        raise MalformedPolicy(SYNTAX) from None


def _check_effects_and_resources(statements: Sequence[Mapping[str, Any]]) -> None:
    if any(statement["Effect"] not in ("Allow", "Deny") for statement in statements):
        raise MalformedPolicy(LEGACY)
    for name in _resource_names(statements):
        if resource_fault(name) is not None:
            return  # it is told later, after the faults that come before it
        if legacy_parsing_fails(name):
            raise MalformedPolicy(LEGACY)


def _resource_names(statements: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        name
        for statement in statements
        for element in ("Resource", "NotResource")
        for name in _texts(statement.get(element, []))
    ]


def _check_sids(statements: Sequence[Mapping[str, Any]], kind: PolicyKind) -> None:
    sids = [statement["Sid"] for statement in statements if statement.get("Sid")]
    if len(set(sids)) != len(sids):
        raise MalformedPolicy(TWIN_SIDS)
    if kind in _KEPT_BY_IAM and not all(_SID.fullmatch(sid) for sid in sids):
        raise MalformedPolicy(ODD_SID)


def _check_elements(statements: Sequence[Mapping[str, Any]], kind: PolicyKind) -> None:
    """Actions and resources are there, well formed, and allowed in this kind of policy."""
    if any(statement.get("Action", statement.get("NotAction", [])) == [] for statement in statements):
        raise MalformedPolicy(NO_ACTIONS)
    for name in _resource_names(statements):
        fault = resource_fault(name)
        if fault is not None:
            raise MalformedPolicy(fault)
    for statement in statements:
        for action in _texts(statement.get("Action", statement.get("NotAction", []))):
            _check_action(action, kind)
    for statement in statements:
        present = "Resource" in statement or "NotResource" in statement
        if kind is PolicyKind.TRUST:
            if present:
                raise MalformedPolicy("Has prohibited field Resource")
        elif not _texts(statement.get("Resource", statement.get("NotResource", []))):
            raise MalformedPolicy(NO_RESOURCES)


def _check_action(action: str, kind: PolicyKind) -> None:
    vendor, colon, name = action.partition(":")
    if not colon and action != "*":
        raise MalformedPolicy(NO_VENDOR)
    if ":" in name:
        raise MalformedPolicy(TWO_COLONS)
    if not _VENDOR.fullmatch(vendor):
        raise MalformedPolicy(f"Vendor {vendor} is not valid")
    if kind is PolicyKind.TRUST and vendor.lower() != "sts":
        raise MalformedPolicy(TRUST_ACTIONS)


def _compiled(
    statement: Mapping[str, Any], number: int, conditions: tuple[Condition, ...], *, variables: bool
) -> Statement:
    action_names = tuple(_texts(statement.get("Action", statement.get("NotAction", []))))
    resource_names = tuple(_texts(statement.get("Resource", statement.get("NotResource", []))))
    try:
        resources = (
            compile_resources(resource_names, negated="NotResource" in statement, variables=variables)
            if resource_names
            else None
        )
    except UnreadableVariable:
        raise MalformedPolicy(SYNTAX) from None
    return Statement(
        sid=statement.get("Sid", ""),
        number=number,
        allows=statement["Effect"] == "Allow",
        action_names=action_names,
        resource_names=resource_names,
        actions=compile_actions(action_names, negated="NotAction" in statement),
        resources=resources,
        principals=_principals(statement),
        conditions=conditions,
    )


def _principals(statement: Mapping[str, Any]) -> Principals | None:
    element = statement.get("Principal", statement.get("NotPrincipal"))
    if element is None:
        return None
    try:
        return compile_principals(element, allows=statement["Effect"] == "Allow", negated="NotPrincipal" in statement)
    except InvalidPrincipal as invalid:
        raise MalformedPolicy(f"Invalid principal in policy: {invalid.shown}") from None


def _is_text_or_texts(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, list) and all(isinstance(item, str) for item in value))


def _texts(value: object) -> list[str]:
    """A value or list of values as texts, booleans and numbers among them as JSON writes them."""
    listed = value if isinstance(value, list) else [value]
    return [_text(item) for item in listed]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.text if isinstance(value, Number) else str(value)
