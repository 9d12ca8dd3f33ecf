"""The variables of a function: sealed where they are kept, shown to who may see its configuration."""

import json

from geumgo.sealing import Plaintext, Sealing
from geumgo.services.lambda_ import domain
from geumgo.services.lambda_.records import Function, Version


def _bound_to(function: Function) -> dict[str, str]:
    return {
        "label": "lambda environment",
        "account": function.account,
        "region": function.region,
        "function": function.id,
    }


def sealed(sealing: Sealing, function: Function, variables: dict[str, str]) -> bytes | None:
    """None: there are none. Raises InvalidParameterValue."""
    if not variables:
        return None
    text = json.dumps(domain.checked_environment(variables)).encode()
    return sealing.wrap("lambda", _bound_to(function), Plaintext(text))


def environment(sealing: Sealing, function: Function, version: Version) -> dict[str, str]:
    """The variables of a version. Raises Unsealable."""
    if version.environment is None:
        return {}
    found: dict[str, str] = json.loads(sealing.unwrap("lambda", _bound_to(function), version.environment).reveal())
    return found
