"""AWS's managed rules on secrets: what each is told, and what it thinks of a secret.

Source: "List of AWS Config Managed Rules", Developer Guide (identifiers, triggers, parameters, defaults).
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from geumgo.domain.schedule import ScheduleInvalid, after_days, parse_schedule
from geumgo.services.config.records import Verdict

COMPLIANT: Final = "COMPLIANT"
NON_COMPLIANT: Final = "NON_COMPLIANT"
NOT_APPLICABLE: Final = "NOT_APPLICABLE"
INSUFFICIENT_DATA: Final = "INSUFFICIENT_DATA"

DAY_MS: Final = 86_400_000
_MOST_DAYS: Final = 3_650
_WHOLE: Final = re.compile(r"[0-9]{1,9}")


class ParametersInvalid(Exception):
    """The InputParameters are not what the rule takes. Its text is a sentence for the caller."""


@dataclass(frozen=True, slots=True)
class SecretFacts:
    """What the rules know of a secret: what DescribeSecret says. Times are Unix milliseconds, None: never or unknown.

    `kms_key` is the ARN of the key that encrypts it, or what its KmsKeyId says where that could not be found out; None: it was given no
    key. `aws_key`: the key is one that AWS (here: the server) manages. `named_key` is what KmsKeyId says. `rotation` holds the members
    of RotationRules.
    """

    arn: str
    name: str
    created_at_ms: int
    changed_at_ms: int
    accessed_at_ms: int | None = None
    rotated_at_ms: int | None = None
    next_rotation_at_ms: int | None = None
    rotates: bool = False
    rotation: Mapping[str, Any] | None = None
    kms_key: str | None = None
    aws_key: bool = False
    named_key: str | None = None
    description: str | None = None
    tags: Mapping[str, str] | None = None


Judge = Callable[[SecretFacts, Mapping[str, str], int, str], Verdict]
"""From a secret, the parameters of the rule, the time (Unix milliseconds) and what the rule remembers of the secret to its verdict."""


@dataclass(frozen=True, slots=True)
class Managed:
    """A managed rule. `parameters` are those that it takes, with what refuses a wrong one; all are optional.

    `periodic`: it runs on a schedule; otherwise when a secret changes. `ages`: its verdict changes with time alone, so that a rule that
    runs on changes must be asked again. `keys`: it must be known which key it is that a secret names.
    """

    judge: Judge
    periodic: bool
    parameters: Mapping[str, Callable[[str, str], None]]
    ages: bool = False
    keys: bool = False


# -- parameters -------------------------------------------------------------------------------------------------------


def read_parameters(text: str | None) -> dict[str, str]:
    """The InputParameters of a rule: a JSON object of texts.

    A value that is not a text is refused as AWS refuses it. Source: the sentence is AWS's to a bare number, as its users report it.

    Raises ParametersInvalid.
    """
    if text is None:
        return {}
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise ParametersInvalid(f"Invalid json {text} passed in the InputParameters field") from None
    if not isinstance(found, dict):
        raise ParametersInvalid(f"Invalid json {text} passed in the InputParameters field")
    for name, value in found.items():
        if not isinstance(value, str) or not value.strip():
            raise ParametersInvalid(f"Blank spaces are not acceptable for input parameter: {name}.")
    return found


def refuse_parameters(identifier: str, text: str | None) -> None:
    """Raises ParametersInvalid unless the managed rule takes these InputParameters."""
    managed = MANAGED[identifier]
    found = read_parameters(text)
    if not set(found) <= set(managed.parameters):
        raise ParametersInvalid(f"Unknown parameters provided in the inputParameters: {text}")
    for name, value in found.items():
        managed.parameters[name](name, value)


def _days(name: str, value: str) -> None:
    _whole(name, value, _MOST_DAYS)


def _hours(name: str, value: str) -> None:
    _whole(name, value, _MOST_DAYS * 24)


def _whole(name: str, value: str, most: int) -> None:
    if _WHOLE.fullmatch(value) is None or not 1 <= int(value) <= most:
        raise ParametersInvalid(f"The value '{value}' of the parameter {name} must be a whole number from 1 to {most}.")


def _key_arns(name: str, value: str) -> None:
    for arn in _listed(value):
        if re.fullmatch(r"arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/\S+", arn) is None:
            raise ParametersInvalid(f"The value '{value}' of the parameter {name} must be a list of ARNs of KMS keys.")


def _listed(value: str) -> list[str]:
    return [each.strip() for each in value.split(",") if each.strip()]


# -- verdicts ---------------------------------------------------------------------------------------------------------


def unused(secret: SecretFacts, given: Mapping[str, str], now_ms: int, memo: str) -> Verdict:  # noqa: ARG001
    """NON_COMPLIANT when no value of the secret was read for `unusedForDays` (90) whole days.

    The date of use is a day (UTC), so that the days count from its end: nobody is called unused too soon. Unverified: a secret that was
    never read counts from its creation.
    """
    days = int(given.get("unusedForDays", "90"))
    since_ms = secret.created_at_ms if secret.accessed_at_ms is None else secret.accessed_at_ms + DAY_MS
    if now_ms - since_ms < days * DAY_MS:
        return Verdict(COMPLIANT)
    return Verdict(NON_COMPLIANT, f"The secret has not been accessed within {days} days.")


def rotation_enabled(secret: SecretFacts, given: Mapping[str, str], now_ms: int, memo: str) -> Verdict:  # noqa: ARG001
    """NON_COMPLIANT when the secret does not rotate by itself, or more seldom than the given maximum."""
    if not secret.rotates:
        return Verdict(NON_COMPLIANT, "Rotation is not enabled for the secret.")
    most = [
        int(given[name]) * hours
        for name, hours in (
            ("maximumAllowedRotationFrequency", 24),
            ("maximumAllowedRotationFrequencyInHours", 1),
        )
        if name in given
    ]
    between = hours_between(secret.rotation)
    if most and between is not None and between > min(most):
        return Verdict(NON_COMPLIANT, f"The secret rotates every {between} hours; at most {min(most)} are allowed.")
    return Verdict(COMPLIANT)


def hours_between(rotation: Mapping[str, Any] | None) -> int | None:
    """The longest time between two rotations that RotationRules mean, in whole hours; None if they say nothing."""
    said = rotation or {}
    return _longest_hours(said.get("ScheduleExpression"), said.get("Duration"), said.get("AutomaticallyAfterDays"))


@lru_cache(maxsize=1024)
def _longest_hours(expression: str | None, duration: str | None, days: int | None) -> int | None:
    try:
        if expression:
            return parse_schedule(expression, duration).longest_hours()
        return after_days(days).longest_hours() if days else None
    except ScheduleInvalid:
        return None


def rotation_success(secret: SecretFacts, given: Mapping[str, str], now_ms: int, memo: str) -> Verdict:  # noqa: ARG001
    """NON_COMPLIANT when a rotation was due and has not happened. NOT_APPLICABLE to a secret that does not rotate by itself.

    The date is the first that was seen since the last rotation: a next attempt in the future does not hide one that was missed.
    """
    if not secret.rotates or secret.next_rotation_at_ms is None:
        return Verdict(NOT_APPLICABLE)
    stands = [secret.rotated_at_ms, json.dumps(dict(secret.rotation or {}), sort_keys=True)]
    due_ms = secret.next_rotation_at_ms
    if memo:
        known = json.loads(memo)
        if known["stands"] == stands:
            due_ms = min(due_ms, known["due_ms"])
    remembered = json.dumps({"stands": stands, "due_ms": due_ms})
    if now_ms > due_ms:
        return Verdict(NON_COMPLIANT, "The secret was not rotated by the date on which it was to rotate.", remembered)
    return Verdict(COMPLIANT, "", remembered)


def periodic_rotation(secret: SecretFacts, given: Mapping[str, str], now_ms: int, memo: str) -> Verdict:  # noqa: ARG001
    """NON_COMPLIANT when the last rotation is more than `maxDaysSinceRotation` (90) days ago.

    Unverified: a secret that was never rotated counts from its creation.
    """
    days = int(given.get("maxDaysSinceRotation", "90"))
    since_ms = secret.created_at_ms if secret.rotated_at_ms is None else secret.rotated_at_ms
    if now_ms - since_ms <= days * DAY_MS:
        return Verdict(COMPLIANT)
    return Verdict(NON_COMPLIANT, f"The secret has not been rotated within {days} days.")


def using_cmk(secret: SecretFacts, given: Mapping[str, str], now_ms: int, memo: str) -> Verdict:  # noqa: ARG001
    """NON_COMPLIANT when the secret is under the account's default key, or under one that `kmsKeyArns` does not list."""
    if secret.kms_key is None or secret.aws_key or secret.kms_key.endswith("alias/aws/secretsmanager"):
        return Verdict(NON_COMPLIANT, "The secret is encrypted with the AWS managed key aws/secretsmanager.")
    allowed = _listed(given.get("kmsKeyArns", ""))
    if allowed and secret.kms_key not in allowed:
        return Verdict(NON_COMPLIANT, "The secret is encrypted with a KMS key that is not one of kmsKeyArns.")
    return Verdict(COMPLIANT)


MANAGED: Final = {
    "SECRETSMANAGER_SECRET_UNUSED": Managed(unused, periodic=True, parameters={"unusedForDays": _days}),
    "SECRETSMANAGER_ROTATION_ENABLED_CHECK": Managed(
        rotation_enabled,
        periodic=False,
        parameters={
            "maximumAllowedRotationFrequency": _days,
            "maximumAllowedRotationFrequencyInHours": _hours,
        },
    ),
    "SECRETSMANAGER_SCHEDULED_ROTATION_SUCCESS_CHECK": Managed(
        rotation_success, periodic=False, parameters={}, ages=True
    ),
    "SECRETSMANAGER_SECRET_PERIODIC_ROTATION": Managed(
        periodic_rotation, periodic=True, parameters={"maxDaysSinceRotation": _days}
    ),
    "SECRETSMANAGER_USING_CMK": Managed(using_cmk, periodic=False, parameters={"kmsKeyArns": _key_arns}, keys=True),
}
