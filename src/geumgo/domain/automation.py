"""Documents of Systems Manager Automation: what a remediation or an execution does, step by step. Pure.

Systems Manager's public documents have none for a secret that nobody uses. These three are named like documents of an account.
Source: RemediationConfiguration, API reference; "Automation runbooks", Systems Manager User Guide (parameters, AutomationAssumeRole).
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from geumgo.errors import ServiceError

ROLE: Final = "AutomationAssumeRole"
DENIAL: Final = "DenyWhileNonCompliant"
_ROLE_ARN: Final = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:role/\S+")
_TEXT: Final = re.compile(r"[^\0]{1,256}", re.DOTALL)
_DAYS: Final = re.compile(r"[7-9]|[12][0-9]|30")

Answers = Mapping[str, Mapping[str, Any]]
"""What the steps before were answered, by their names."""


class ParametersUnfit(Exception):
    """The parameters are not those of the document. Its text is a sentence for the caller."""


@dataclass(frozen=True, slots=True)
class Step:
    """One call of another service. `inputs` are made of the parameters and of what the steps before were answered."""

    name: str
    service: str
    operation: str
    inputs: Callable[[Mapping[str, str], Answers], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Parameter:
    """`default` None: it must be given. `form` is what its whole value must look like."""

    default: str | None = None
    form: re.Pattern[str] = _TEXT


@dataclass(frozen=True, slots=True)
class Document:
    """A document and its steps. Every document runs as AutomationAssumeRole, which must be given."""

    parameters: Mapping[str, Parameter]
    steps: Sequence[Step]


def _tag(given: Mapping[str, str], answers: Answers) -> dict[str, Any]:  # noqa: ARG001
    return {"SecretId": given["SecretId"], "Tags": [{"Key": given["TagKey"], "Value": given["TagValue"]}]}


def _secret(given: Mapping[str, str], answers: Answers) -> dict[str, Any]:  # noqa: ARG001
    return {"SecretId": given["SecretId"]}


def _denied(given: Mapping[str, str], answers: Answers) -> dict[str, Any]:
    text = answers["GetPolicy"].get("ResourcePolicy")
    document: dict[str, Any] = json.loads(text) if text else {"Version": "2012-10-17", "Statement": []}
    said = document["Statement"]
    statements: list[dict[str, Any]] = said if isinstance(said, list) else [said]
    denial = {
        "Sid": DENIAL,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "secretsmanager:GetSecretValue",
        "Resource": "*",
    }
    others = [each for each in statements if each.get("Sid") != DENIAL]
    policy = json.dumps({**document, "Statement": [*others, denial]})
    return {"SecretId": given["SecretId"], "ResourcePolicy": policy}


def _deletion(given: Mapping[str, str], answers: Answers) -> dict[str, Any]:  # noqa: ARG001
    return {"SecretId": given["SecretId"], "RecoveryWindowInDays": int(given["RecoveryWindowInDays"])}


_ALL: Final = {"SecretId": Parameter(form=re.compile(r"[^\0]{1,2048}")), ROLE: Parameter(form=_ROLE_ARN)}

DOCUMENTS: Final[Mapping[str, Document]] = {
    "Geumgo-TagSecret": Document(
        {**_ALL, "TagKey": Parameter("non-compliant"), "TagValue": Parameter("true")},
        (Step("TagSecret", "secretsmanager", "TagResource", _tag),),
    ),
    "Geumgo-DenySecret": Document(
        _ALL,
        (
            Step("GetPolicy", "secretsmanager", "GetResourcePolicy", _secret),
            Step("PutPolicy", "secretsmanager", "PutResourcePolicy", _denied),
        ),
    ),
    "Geumgo-ScheduleSecretDeletion": Document(
        {**_ALL, "RecoveryWindowInDays": Parameter("30", _DAYS)},
        (Step("DeleteSecret", "secretsmanager", "DeleteSecret", _deletion),),
    ),
}


def parameters_for(name: str, given: Mapping[str, Any], resource_id: str) -> dict[str, str]:
    """The values of the document's parameters for one resource. `given` maps each to a ResourceValue or a StaticValue.

    Raises ParametersUnfit: the document does not take them, one that it needs is missing, or a value has the wrong form.
    """
    document = DOCUMENTS[name]
    unknown = sorted(set(given) - set(document.parameters))
    if unknown:
        raise ParametersUnfit(f"The document {name} has no parameter {unknown[0]}.")
    values: dict[str, str] = {}
    for parameter, wanted in document.parameters.items():
        value = _value(parameter, given[parameter], resource_id) if parameter in given else wanted.default
        if value is None:
            raise ParametersUnfit(f"The document {name} needs the parameter {parameter}.")
        if wanted.form.fullmatch(value) is None:
            raise ParametersUnfit(f"The value of the parameter {parameter} does not have the form that {name} takes.")
        values[parameter] = value
    if "StaticValue" not in given[ROLE]:
        raise ParametersUnfit(f"The parameter {ROLE} must be a static value.")
    return values


def _value(parameter: str, given: Mapping[str, Any], resource_id: str) -> str:
    if ("ResourceValue" in given) == ("StaticValue" in given):
        raise ParametersUnfit(f"The parameter {parameter} must be either a ResourceValue or a StaticValue.")
    if "ResourceValue" in given:
        return resource_id
    values = given["StaticValue"]["Values"]
    if len(values) != 1:
        raise ParametersUnfit(f"The parameter {parameter} takes one value.")
    found: str = values[0]
    return found


def plain_parameters(name: str, given: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The values of the document's parameters, as an execution is given them: a list for each. Raises ParametersUnfit."""
    if ROLE not in given:
        raise ParametersUnfit(f"The document {name} needs the parameter {ROLE}.")
    return parameters_for(name, {key: {"StaticValue": {"Values": list(values)}} for key, values in given.items()}, "")


Call = Callable[[str, str, Mapping[str, Any]], Mapping[str, Any]]
"""Asks (service, operation, inputs) as the role of the document. Raises ServiceError."""


def walk(name: str, values: Mapping[str, str], call: Call, now_ms: Callable[[], int]) -> list[dict[str, Any]]:
    """How each step of the document went: `Name`, `State` (SUCCEEDED or FAILED), `ErrorMessage`, and `at`, its two times.

    Steps behind one that was refused are not there.
    """
    done: list[dict[str, Any]] = []
    answers: dict[str, Mapping[str, Any]] = {}
    for step in DOCUMENTS[name].steps:
        began_ms = now_ms()
        said: dict[str, Any] = {"Name": step.name, "State": "SUCCEEDED"}
        try:
            answers[step.name] = call(step.service, step.operation, step.inputs(values, answers))
        except ServiceError as refusal:
            said |= {"State": "FAILED", "ErrorMessage": f"{refusal.code}: {refusal.message}"}
        done.append({**said, "at": [began_ms, now_ms()]})
        if said["State"] == "FAILED":
            break
    return done


def role_of(parameters: Mapping[str, Any]) -> str | None:
    """The ARN of AutomationAssumeRole, None if it is not given as a static value."""
    values = parameters.get(ROLE, {}).get("StaticValue", {}).get("Values", [])
    return values[0] if len(values) == 1 else None
