"""Principals inside documents: kept by unique id, shown by name.

A trust policy that names a user or a role means that very one. If it is deleted and another is made under its name, the policy does not
mean the new one. Source: "Principal element", IAM User Guide (ARNs are transformed to unique ids when a policy is saved).
"""

import json
from collections.abc import Callable
from typing import Any

from geumgo.principals import UnknownPrincipal
from geumgo.services.iam.domain import parse_iam_arn

Change = Callable[[str, str], str]
"""From the kind of principal ("AWS", "Service", "Federated") and its value to the value that takes its place."""


def with_principals(document: str, change: Change) -> str:
    """`document` (a valid policy) with every principal put through `change`; the very same text if nothing changes.

    Numbers become texts, which is how policies compare them, so that none is rounded on the way.
    """
    tree = json.loads(document, parse_float=str, parse_int=str)
    statements = tree["Statement"] if isinstance(tree["Statement"], list) else [tree["Statement"]]
    changed = False
    for statement in statements:
        for element in ("Principal", "NotPrincipal"):
            if isinstance(statement.get(element), dict):
                after = {kind: _changed(kind, values, change) for kind, values in statement[element].items()}
                changed = changed or after != statement[element]
                statement[element] = after
    return json.dumps(tree) if changed else document


def named(arn: str) -> tuple[str, str, str] | None:
    """Account, kind and name in the ARN of a user or role, or None."""
    for kind in ("user", "role"):
        found = parse_iam_arn(arn, kind)
        if found is not None:
            return found.account, kind, found.name
    return None


def refuse(kind: str, value: str) -> UnknownPrincipal:
    """Source of the sentence: UpdateAssumeRolePolicy, recorded on AWS."""
    return UnknownPrincipal(f'Invalid principal in policy: "{kind}":"{value}"')


def _changed(kind: str, values: Any, change: Change) -> Any:
    if isinstance(values, list):
        return [change(kind, value) for value in values]
    return change(kind, values)
