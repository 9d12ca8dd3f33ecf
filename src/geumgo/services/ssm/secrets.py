"""References to secrets: a name under /aws/reference/secretsmanager/ is answered by Secrets Manager, through its own gate.

Nothing is kept of them. Source: "Referencing AWS Secrets Manager secrets from Parameter Store parameters", user guide; the refusals, and
what a secret without a text looks like, as users of AWS have measured them in 2026 (both odd details in the messages included).
Unverified: the format of the date inside of SourceResult.
"""

import json
from typing import Final

from geumgo.context import Context, Params
from geumgo.errors import ServiceError
from geumgo.services.ssm import domain
from geumgo.services.ssm.domain import Reference
from geumgo.services.ssm.errors import ParameterNotFound, ValidationFailed

_SHORTEST_VERSION_ID: Final = 32
_NOT_THERE: Final = "ResourceNotFoundException"


class DependencyFailed(ValidationFailed):
    """Secrets Manager has refused the caller."""

    def __init__(self) -> None:
        super().__init__("An error occurred while calling one AWS dependency service.")


def refer(ctx: Context, meant: Reference, *, decrypted: bool) -> Params:
    """The secret that `meant` names, as a parameter.

    Raises ValidationFailed without `decrypted` and for a secret that waits for its deletion, DependencyFailed, ParameterNotFound.
    """
    if not decrypted:
        raise ValidationFailed("WithDecryption flag must be True for retrieving a Secret Manager secret.")
    answer = _asked(ctx, meant)
    shown: Params = {
        "Name": meant.path,
        "Type": "SecureString",
        "Version": 0,
        "SourceResult": _source_result(answer),
        "LastModifiedDate": answer["CreatedDate"],
        "ARN": answer["ARN"],
    }
    if "SecretString" in answer:
        shown["Value"] = answer["SecretString"]
    if meant.selector is not None:
        shown["Selector"] = f":{meant.selector}"
    return shown


def _asked(ctx: Context, meant: Reference) -> Params:
    """What GetSecretValue answers. A selector that may be the id of a version is tried as one first."""
    secret_id, selector = meant.path.removeprefix(domain.SECRETS), meant.selector
    asked = [{}] if selector is None else [{"VersionStage": selector}]
    if selector is not None and len(selector) >= _SHORTEST_VERSION_ID:
        asked.insert(0, {"VersionId": selector})
    for number, which in enumerate(asked, 1):
        try:
            return ctx.call("secretsmanager", "GetSecretValue", SecretId=secret_id, **which)
        except ServiceError as refusal:
            if refusal.code == _NOT_THERE and number < len(asked):
                continue
            raise _in_our_words(meant, refusal) from None
    raise AssertionError("the last one answers or is refused")


def _in_our_words(meant: Reference, refusal: ServiceError) -> ServiceError:
    match refusal.code:
        case "ResourceNotFoundException" | "ValidationException":
            selector = "null" if meant.selector is None else f":{meant.selector}"
            return ParameterNotFound(
                "An error occurred (ParameterNotFound) when referencing Secrets Manager: "
                f"Secret {meant.path.removeprefix('/')}{selector} not found."
            )
        case "InvalidRequestException":
            return ValidationFailed("Invalid Request to Secrets Manager")
    return DependencyFailed()


def _source_result(answer: Params) -> str:
    """The answer of Secrets Manager as text."""
    created = answer["CreatedDate"]
    hour = created.hour % 12 or 12
    told = {
        "ARN": answer["ARN"],
        "name": answer["Name"],
        "versionId": answer["VersionId"],
        **({"secretString": answer["SecretString"]} if "SecretString" in answer else {}),
        "versionStages": answer.get("VersionStages", []),
        "createdDate": f"{created:%b} {created.day}, {created.year} {hour}:{created:%M:%S} {'AM' if created.hour < 12 else 'PM'}",
    }
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))
