"""Whether a resource policy grants broad access: to callers that nobody has named, whatever else they must prove.

The document is a valid policy. Each Allow is looked at by itself, together with the Deny statements that narrow everybody.
Source: "Permissions policies attached to a secret" and ValidateResourcePolicy, Secrets Manager user guide; "The meaning of public", S3
user guide (which conditions hold a policy to fixed values, and how wide an address range may be). Unverified: that AWS's solver
decides every policy alike.
"""

import ipaddress
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Statement = Mapping[str, Any]

_VENDOR: Final = "secretsmanager:"
_PUBLIC_PROVIDERS: Final = frozenset(
    {"*", "accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com", "www.amazon.com"}
)
_FIXED_KEYS: Final = frozenset(
    {
        "aws:principalaccount",
        "aws:principalorgid",
        "aws:sourceaccount",
        "aws:sourceorgid",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:userid",
        "aws:vpceaccount",
        "aws:vpceorgid",
    }
)
_ARN_KEYS: Final = frozenset({"aws:principalarn", "aws:sourcearn"})
_ADDRESS_KEYS: Final = frozenset({"aws:sourceip", "aws:vpcsourceip"})
_PATH_KEYS: Final = frozenset({"aws:principalorgpaths", "aws:sourceorgpaths"})
_NARROWEST_PREFIX: Final = {4: 8, 6: 32}  # a range that is wider than this is nobody's in particular
_ACCOUNT: Final = re.compile(r"[0-9]{12}")
_ORGANIZATION: Final = re.compile(r"o-[a-z0-9]{10,32}/")

_EQUALS: Final = frozenset({"StringEquals", "StringEqualsIgnoreCase"})
_LIKE: Final = frozenset({"StringLike"})
_ARNS: Final = frozenset({"ArnEquals", "ArnLike"})
_NEGATED: Final = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
}


def grants_broad_access(document: str) -> bool:
    """Whether some Allow of a valid resource policy speaks of everybody, and no condition holds it to fixed values."""
    listed = list(_statements(document))
    return any(
        statement["Effect"] == "Allow"
        and _names_everybody(statement)
        and not _is_pinned(statement)
        and not any(_narrows(other, statement) for other in listed)
        for statement in listed
    )


def foreign_actions(document: str) -> list[str]:
    """The actions of a valid policy that are not of Secrets Manager."""
    return [
        action
        for statement in _statements(document)
        for action in _texts(statement.get("Action", statement.get("NotAction", [])))
        if action != "*" and not action.lower().startswith(_VENDOR)
    ]


def service_principals(document: str) -> list[str]:
    """The AWS services that a valid policy names."""
    return [
        name
        for statement in _statements(document)
        for element in (statement.get("Principal"), statement.get("NotPrincipal"))
        if isinstance(element, dict)
        for name in _texts(element.get("Service", []))
    ]


def _statements(document: str) -> Iterator[Statement]:
    found = json.loads(document)["Statement"]
    yield from found if isinstance(found, list) else [found]


def _texts(value: Any) -> Sequence[str]:
    return [value] if isinstance(value, str) else list(value)


def _names_everybody(statement: Statement) -> bool:
    principal = statement.get("Principal", "*")
    if isinstance(principal, str):
        return True
    if any("*" in name for name in _texts(principal.get("AWS", []))):
        return True
    return any(name in _PUBLIC_PROVIDERS for name in _texts(principal.get("Federated", [])))


# -- what holds a statement to fixed values ---------------------------------------------------------------------------


def _is_pinned(statement: Statement) -> bool:
    """Whether one condition of an Allow can be met by known callers only. `IfExists` and ForAllValues are met without the key."""
    for operator, keys in statement.get("Condition", {}).items():
        if operator.endswith("IfExists") or operator.startswith("ForAllValues:"):
            continue
        bare = operator.removeprefix("ForAnyValue:")
        if any(_holds_to_fixed(bare, key, values) for key, values in keys.items()):
            return True
    return False


def _narrows(denial: Statement, allowed: Statement) -> bool:
    """Whether a Deny keeps everybody out of what `allowed` allows who does not come from fixed values.

    It must deny all principals at least these actions on everything, under a single condition: every further one would let callers
    through. ForAnyValue would be met by nobody who lacks the key.
    """
    if denial["Effect"] != "Deny" or denial.get("Principal") not in ("*", {"AWS": "*"}, {"AWS": ["*"]}):
        return False
    if "*" not in _texts(denial.get("Resource", [])) or not _covers_actions(denial, allowed):
        return False
    conditions = [
        (operator, key, values)
        for operator, keys in denial.get("Condition", {}).items()
        for key, values in keys.items()
    ]
    if len(conditions) != 1:
        return False
    operator, key, values = conditions[0]
    positive = _NEGATED.get(operator.removesuffix("IfExists"))
    return positive is not None and _holds_to_fixed(positive, key, values)


def _covers_actions(denial: Statement, allowed: Statement) -> bool:
    denied = {action.lower() for action in _texts(denial.get("Action", []))}
    if denied & {"*", f"{_VENDOR}*"}:
        return True
    return "Action" in allowed and {action.lower() for action in _texts(allowed["Action"])} <= denied


def _holds_to_fixed(operator: str, key: str, values: Any) -> bool:
    """Whether a positive operator on this key can be met by callers from fixed places only. One loose value is enough to say no."""
    lowered = key.lower()
    texts = [str(value) for value in (values if isinstance(values, list) else [values])]
    if operator == "IpAddress":
        return lowered in _ADDRESS_KEYS and all(map(_is_bounded_range, texts))
    if operator not in _EQUALS | _LIKE | _ARNS or any("${" in text for text in texts):
        return False
    if lowered in _ARN_KEYS:
        return all(_is_fixed_arn(text, crosses_colons=operator in _LIKE) for text in texts)
    if operator in _ARNS:
        return False
    if lowered in _PATH_KEYS:
        return all(_ORGANIZATION.match(text) is not None for text in texts)
    if lowered not in _FIXED_KEYS:
        return False
    if lowered == "aws:userid":
        return not any("*" in text.partition(":")[0] or "?" in text.partition(":")[0] for text in texts)
    return operator in _EQUALS or not any("*" in text or "?" in text for text in texts)


def _is_fixed_arn(text: str, *, crosses_colons: bool) -> bool:
    """Whether an ARN pattern names one account, or, where its service has no accounts in ARNs, one thing.

    `crosses_colons`: a wildcard also stands for colons, so that it may swallow the account.
    """
    parts = text.split(":", 5)
    if len(parts) != 6 or any(sign in part for part in parts[: 5 if crosses_colons else 3] for sign in "*?"):
        return False
    return bool(_ACCOUNT.fullmatch(parts[4])) or (not parts[4] and not any(sign in parts[5] for sign in "*?"))


def _is_bounded_range(text: str) -> bool:
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        return False
    return network.prefixlen >= _NARROWEST_PREFIX[network.version]
