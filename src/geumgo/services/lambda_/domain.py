"""The rules of Lambda that need nothing but values."""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from geumgo.services.lambda_.errors import InvalidParameterValue, InvalidRequestContent
from geumgo.services.lambda_.records import LATEST, Statement

TIMEOUT_S: Final = 3
MEMORY_MB: Final = 128
STORAGE_MB: Final = 512
"""Source of the three: CreateFunction, API reference (the defaults)."""

MOST_ENVIRONMENT: Final = 4_096  # bytes; source: "Lambda quotas"
MOST_POLICY: Final = 20_480  # bytes; source: "Lambda quotas"
MOST_EVENT: Final = 6_291_456  # bytes; source: "Lambda quotas"
MOST_QUEUED: Final = 1_048_576  # bytes; source: "Lambda quotas" (1 MB for asynchronous invocations)
MOST_TAGS: Final = 50
_NAME: Final = re.compile(r"[a-zA-Z0-9-_]{1,64}")
_QUALIFIER: Final = re.compile(r"\$LATEST|[a-zA-Z0-9-_]{1,128}")
_ACCOUNT: Final = re.compile(r"\d{12}", re.ASCII)
_SERVICE: Final = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?|[a-z0-9.-]+\.amazon\.com")

# Source: "Reserved environment variables", developer guide
RESERVED: Final = frozenset(
    {
        "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE", "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
    }
)  # fmt: skip
_VARIABLE: Final = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")


@dataclass(frozen=True, slots=True)
class Address:
    """Where a function is, and which of its versions is meant ("" : it was not said)."""

    account: str
    region: str
    name: str
    qualifier: str

    def arn(self, partition: str) -> str:
        qualified = f":{self.qualifier}" if self.qualifier else ""
        return f"arn:{partition}:lambda:{self.region}:{self.account}:function:{self.name}{qualified}"


def parse_name(text: str, qualifier: str, *, account: str, region: str) -> Address:
    """A FunctionName: `name`, `name:qualifier`, `account:function:name` or an ARN, each with a Qualifier beside it or not.

    Raises InvalidParameterValue. Source: FunctionName, API reference. Unverified: the message for two qualifiers that differ.
    """
    parts = text.split(":")
    if parts[0] == "arn":
        if len(parts) not in (7, 8) or parts[2] != "lambda" or parts[5] != "function":
            raise _bad_name(text)
        region, account, parts = parts[3], parts[4], parts[6:]
    elif len(parts) in (3, 4) and parts[1] == "function":
        account, parts = parts[0], parts[2:]
    if len(parts) not in (1, 2) or not _NAME.fullmatch(parts[0]):
        raise _bad_name(text)
    inside = parts[1] if len(parts) == 2 else ""
    if inside and not _QUALIFIER.fullmatch(inside):
        raise _bad_name(text)
    if inside and qualifier and inside != qualifier:
        raise InvalidParameterValue(
            "The derived qualifier from the function name does not match the specified qualifier."
        )
    return Address(account, region, parts[0], inside or qualifier)


def _bad_name(text: str) -> InvalidParameterValue:
    return InvalidParameterValue(f"Invalid function name: {text}")


def version_number(qualifier: str) -> int | None:
    """The number of the version that a qualifier names; None: it names an alias."""
    if qualifier in ("", LATEST):
        return 0
    return int(qualifier) if qualifier.isascii() and qualifier.isdigit() and len(qualifier) < 19 else None


def checked_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Raises InvalidParameterValue. Source: recorded on AWS (the reserved keys, the size); Environment, API reference (the names)."""
    reserved = [name for name in variables if name in RESERVED]
    if reserved:
        raise InvalidParameterValue(
            "Lambda was unable to configure your environment variables because the environment variables you have provided contains "
            f"reserved keys that are currently not supported for modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    if any(not _VARIABLE.fullmatch(name) or "\0" in value for name, value in variables.items()):
        raise InvalidParameterValue(
            "The name or the value of an environment variable has a character that it must not have."
        )
    text = json.dumps(dict(variables), separators=(",", ":"), ensure_ascii=False)
    if len(text.encode("utf-8", "replace")) > MOST_ENVIRONMENT:
        raise InvalidParameterValue(
            "Lambda was unable to configure your environment variables because the environment variables you have provided exceeded "
            "the 4KB limit."
        )
    return dict(variables)


def refuse_tags(tags: Mapping[str, str]) -> None:
    """Raises InvalidParameterValue. Source: "Tag requirements", developer guide. Unverified: the messages."""
    if len(tags) > MOST_TAGS:
        raise InvalidParameterValue(f"A function can have at most {MOST_TAGS} tags.")
    for key, value in tags.items():
        if not key or len(key) > 128 or len(value) > 256 or "\0" in key + value:
            raise InvalidParameterValue("A tag has a key of 1 to 128 characters and a value of at most 256.")
        if key.lower().startswith("aws:"):
            raise InvalidParameterValue("Tags beginning with aws: are reserved.")


# -- what is not there -------------------------------------------------------------------------------------------------

_ABSENT: Final[Mapping[str, str]] = {
    "CodeSigningConfigArn": "Code signing",
    "FileSystemConfigs": "File systems",
    "ImageConfig": "Container images",
    "TenancyConfig": "Tenant isolation",
    "CapacityProviderConfig": "Capacity providers",
    "DurableConfig": "Durable functions",
    "AcceleratorConfig": "Accelerators",
    "DeadLetterConfig": "Dead letter queues",
    "PublishTo": "A capacity provider",
}


def refuse_absent(params: Mapping[str, Any]) -> None:
    """Nothing that was asked for is passed over in silence. Raises InvalidParameterValue."""
    for member, what in _ABSENT.items():
        if any(_means(each) for each in _leaves(params.get(member))):
            raise InvalidParameterValue(f"{what} is not available here ({member}).")
    if any(
        _means(each)
        for each in _leaves({k: v for k, v in params.get("VpcConfig", {}).items() if k != "Ipv6AllowedForDualStack"})
    ):
        raise InvalidParameterValue(
            "Functions are not in a VPC here: they reach this server, and the hosts of the secrets that they read (VpcConfig)."
        )
    if params.get("EphemeralStorage", {}).get("Size", STORAGE_MB) > STORAGE_MB:
        raise InvalidParameterValue(f"/tmp is in memory here, and has {STORAGE_MB} MB (EphemeralStorage).")  # noqa: S108
    if params.get("SnapStart", {}).get("ApplyOn", "None") != "None":
        raise InvalidParameterValue("SnapStart is not available here.")
    if params.get("PackageType", "Zip") != "Zip":
        raise InvalidParameterValue("Container images are not available here (PackageType).")
    if params.get("TracingConfig", {}).get("Mode", "PassThrough") != "PassThrough":
        raise InvalidParameterValue("X-Ray is not available here (TracingConfig).")


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for each in value.values() for leaf in _leaves(each)]
    if isinstance(value, list):
        return [leaf for each in value for leaf in _leaves(each)]
    return [value]


def _means(value: Any) -> bool:
    return value not in (None, "", False)


# -- permissions -------------------------------------------------------------------------------------------------------


def principal_element(principal: str, partition: str) -> Any:
    """The Principal of a statement, as AWS writes it. Source: AddPermission, API reference; recorded on AWS."""
    if principal == "*":
        return "*"
    if _SERVICE.fullmatch(principal):
        return {"Service": principal}
    if _ACCOUNT.fullmatch(principal):
        return {"AWS": f"arn:{partition}:iam::{principal}:root"}
    return {"AWS": principal}


_CONDITIONS: Final = (
    ("SourceAccount", "StringEquals", "AWS:SourceAccount"),
    ("EventSourceToken", "StringEquals", "lambda:EventSourceToken"),
    ("PrincipalOrgID", "StringEquals", "aws:PrincipalOrgID"),
    ("FunctionUrlAuthType", "StringEquals", "lambda:FunctionUrlAuthType"),
    ("SourceArn", "ArnLike", "AWS:SourceArn"),
)


def statement_of(params: Mapping[str, Any], arn: str, partition: str) -> Statement:
    """The statement that AddPermission adds. Source: recorded on AWS."""
    made: Statement = {
        "Sid": params["StatementId"],
        "Effect": "Allow",
        "Principal": principal_element(params["Principal"], partition),
        "Action": params["Action"],
        "Resource": arn,
    }
    conditions: dict[str, dict[str, str]] = {}
    for member, operator, key in _CONDITIONS:
        if member in params:
            conditions.setdefault(operator, {})[key] = params[member]
    return {**made, "Condition": conditions} if conditions else made


def policy_document(statements: Sequence[Statement]) -> str:
    """The policy, as GetPolicy shows it."""
    document = {"Version": "2012-10-17", "Id": "default", "Statement": list(statements)}
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


# -- invoking ----------------------------------------------------------------------------------------------------------


def read_event(payload: bytes) -> bytes:
    """The event as JSON text; an empty one is an empty object.

    Raises InvalidRequestContent. Source: recorded on AWS (the beginning of the sentence); what was sent is not quoted here.
    """
    if not payload.strip():
        return b"{}"
    try:
        json.loads(payload, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise InvalidRequestContent("Could not parse request body into json: it is not UTF-8.") from None
    except (ValueError, RecursionError) as fault:
        where = f" at byte {fault.pos}" if isinstance(fault, json.JSONDecodeError) else ""
        raise InvalidRequestContent(f"Could not parse request body into json: it is not JSON{where}.") from None
    return payload


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def read_client_context(text: str) -> str:
    """The client context as JSON on one line. Raises InvalidRequestContent. Unverified: the message."""
    if not text:
        return ""
    try:
        found = json.loads(base64.b64decode(text, validate=True))
    except (ValueError, RecursionError, binascii.Error):
        raise InvalidRequestContent("Client context must be a valid Base64-encoded JSON object.") from None
    if not isinstance(found, dict):
        raise InvalidRequestContent("Client context must be a valid Base64-encoded JSON object.")
    return json.dumps(found, ensure_ascii=True, separators=(",", ":"))
