"""Whether a resource policy grants broad access: to callers whom nobody has named, wherever they come from.

The documents here are valid policies. Each Allow is looked at by itself, together with the Deny statements that narrow it.

Source: "Managing a resource-based policy for a secret", user guide (which condition keys hold a policy to fixed values; it refers to
"The meaning of public", S3 user guide, for the rest: fixed organizations and user ids, how wide an address range may be). Unverified:
that AWS's solver decides every policy alike, and that it takes a service without source for broad: S3 does not, but whoever may make
that service act could have the secret read.
"""

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from geumgo.domain.policy.document import Number, read_document

Statement = Mapping[str, Any]

_VENDOR: Final = "secretsmanager:"
_OPEN_PROVIDERS: Final = frozenset(
    {"accounts.google.com", "cognito-identity.amazonaws.com", "graph.facebook.com", "www.amazon.com"}
)
"""Anybody in the world can get a token from these."""

_NAME_KEYS: Final = frozenset(
    {
        "aws:principalaccount",
        "aws:principalorgid",
        "aws:sourceaccount",
        "aws:sourceorgid",
        "aws:sourceowner",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:vpceaccount",
        "aws:vpceorgid",
    }
)
_ARN_KEYS: Final = frozenset({"aws:principalarn", "aws:sourcearn"})
_PATH_KEYS: Final = frozenset({"aws:principalorgpaths", "aws:sourceorgpaths", "aws:vpceorgpaths"})
_USER_ID_KEY: Final = "aws:userid"
_ADDRESS_KEY: Final = "aws:sourceip"
_WIDEST_IPV4: Final = 8  # bits of prefix; a wider range of addresses is nobody's in particular
_WIDEST_IPV6: Final = 32
_ACCOUNT: Final = re.compile(r"\d{12}", re.ASCII)
_ORGANIZATION: Final = re.compile(r"o-[a-z0-9]{10,32}/")

_TEXTUAL: Final = frozenset({"StringEquals", "StringEqualsIgnoreCase", "StringLike"})
_ARNS: Final = frozenset({"ArnEquals", "ArnLike"})
_OPPOSITES: Final = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NotIpAddress": "IpAddress",
}


def grants_broad_access(document: str) -> bool:
    """Whether some Allow speaks of everybody or of an AWS service, and nothing holds it to fixed values."""
    listed = list(_statements(document))
    return any(
        statement["Effect"] == "Allow"
        and _speaks_of_strangers(statement)
        and not _is_held(statement)
        and not any(_narrows(other, statement) for other in listed)
        for statement in listed
    )


def foreign_actions(document: str) -> list[str]:
    """The actions of a policy that are not of Secrets Manager. `*` is: it means this secret's actions."""
    return [
        action
        for statement in _statements(document)
        for action in _texts(statement.get("Action", statement.get("NotAction", [])))
        if action != "*" and not action.lower().startswith(_VENDOR)
    ]


def service_principals(document: str) -> list[str]:
    """The AWS services that a policy names."""
    return [
        name
        for statement in _statements(document)
        for element in (statement.get("Principal"), statement.get("NotPrincipal"))
        if isinstance(element, dict)
        for name in _texts(element.get("Service", []))
    ]


def _statements(document: str) -> Iterator[Statement]:
    found = read_document(document)["Statement"]
    yield from found if isinstance(found, list) else [found]


def _texts(value: Any) -> Sequence[str]:
    return [value] if isinstance(value, str) else list(value)


def _speaks_of_strangers(statement: Statement) -> bool:
    principal = statement["Principal"]  # a NotPrincipal stands beside Deny only
    if isinstance(principal, str) or "*" in _texts(principal.get("AWS", [])):
        return True
    return "Service" in principal or any(name in _OPEN_PROVIDERS for name in _texts(principal.get("Federated", [])))


# -- what holds an Allow to fixed values ------------------------------------------------------------------------------


def _is_held(statement: Statement) -> bool:
    """Whether one condition of an Allow can be met by known callers only.

    A condition that a missing key meets (`IfExists`, ForAllValues) holds nobody, unless a Null demands the key.
    """
    conditions = list(_conditions(statement))
    demanded = {
        key for operator, key, values in conditions if operator == "Null" and set(map(str.lower, values)) == {"false"}
    }
    return any(
        _holds(_bare(operator), key, values)
        for operator, key, values in conditions
        if key in demanded or not _is_met_without_key(operator)
    )


def _conditions(statement: Statement) -> Iterator[tuple[str, str, list[str]]]:
    """Operator, key in lower case, and values as JSON writes them, of every condition."""
    for operator, keys in statement.get("Condition", {}).items():
        for key, value in keys.items():
            listed = value if isinstance(value, list) else [value]
            yield operator, key.lower(), list(map(_text, listed))


def _text(value: str | bool | Number) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.text if isinstance(value, Number) else value


def _is_met_without_key(operator: str) -> bool:
    return operator.endswith("IfExists") or operator.startswith("ForAllValues:")


def _bare(operator: str) -> str:
    return operator.removeprefix("ForAllValues:").removeprefix("ForAnyValue:").removesuffix("IfExists")


def _holds(operator: str, key: str, values: Sequence[str]) -> bool:
    """Whether a positive operator on this key is met by callers from fixed places only. One loose value is enough to say no."""
    if operator == "IpAddress":
        return key == _ADDRESS_KEY and _are_bounded(values)
    if any("${" in text for text in values):  # a variable is whatever the caller brings along
        return False
    if operator in _ARNS:
        return key in _ARN_KEYS and all(_is_fixed_arn(text.split(":", 5)) for text in values)
    if operator not in _TEXTUAL:
        return False
    if key in _ARN_KEYS:
        return all(_is_fixed(text) or _is_fixed_beginning(text) for text in values)
    if key in _PATH_KEYS:
        return all(_ORGANIZATION.match(text) is not None for text in values)
    if key == _USER_ID_KEY:
        return all(_is_fixed(text.partition(":")[0]) for text in values)
    return key in _NAME_KEYS and all(map(_is_fixed, values))


def _is_fixed(text: str) -> bool:
    return bool(text) and "*" not in text and "?" not in text


def _is_fixed_arn(parts: Sequence[str]) -> bool:
    """Whether an ARN, matched part by part, is of one account, or, where its service has no accounts in ARNs, one thing."""
    if len(parts) != 6:
        return False
    return bool(_ACCOUNT.fullmatch(parts[4])) or (not parts[4] and _is_fixed(parts[2]) and _is_fixed(parts[5]))


def _is_fixed_beginning(text: str) -> bool:
    """Whether an ARN, matched as one text, is fixed up to its account: a wildcard before that could reach over the colons."""
    parts = text.split(":", 5)
    return _is_fixed_arn(parts) and _is_fixed("".join(parts[:5]))


def _are_bounded(ranges: Iterable[str]) -> bool:
    """Whether the addresses, neighbouring ranges taken together, are nowhere wider than a /8 (or, for IPv6, a /32)."""
    four: list[ipaddress.IPv4Network] = []
    six: list[ipaddress.IPv6Network] = []
    for text in ranges:
        network = ipaddress.ip_network(text, strict=False)
        four.append(network) if isinstance(network, ipaddress.IPv4Network) else six.append(network)
    return all(each.prefixlen >= _WIDEST_IPV4 for each in ipaddress.collapse_addresses(four)) and all(
        each.prefixlen >= _WIDEST_IPV6 for each in ipaddress.collapse_addresses(six)
    )


# -- what a Deny takes away again -------------------------------------------------------------------------------------


def _narrows(denial: Statement, allowed: Statement) -> bool:
    """Whether a Deny leaves nobody of those that `allowed` speaks of but known callers.

    It must deny these actions on everything: to all but those whom it names, or to everybody who does not come from fixed values. A
    second condition would let through whoever fails it, and ForAnyValue whoever lacks the key.
    """
    if denial["Effect"] != "Deny" or "*" not in _texts(denial.get("Resource", [])) or not _covers(denial, allowed):
        return False
    conditions = list(_conditions(denial))
    if "NotPrincipal" in denial:
        spared = denial["NotPrincipal"]
        return (
            not conditions and isinstance(spared, dict) and set(spared) == {"AWS"} and "*" not in _texts(spared["AWS"])
        )
    if denial["Principal"] != "*" and "*" not in _texts(denial["Principal"].get("AWS", [])):
        return False
    if len(conditions) != 1:
        return not conditions
    operator, key, values = conditions[0]
    positive = _OPPOSITES.get(operator.removesuffix("IfExists"))
    return positive is not None and _holds(positive, key, values)


def _covers(denial: Statement, allowed: Statement) -> bool:
    """Whether a Deny lists every action of an Allow, as it is written there."""
    denied = {action.lower() for action in _texts(denial.get("Action", []))}
    if denied & {"*", f"{_VENDOR}*"}:
        return True
    return "Action" in allowed and {action.lower() for action in _texts(allowed["Action"])} <= denied
