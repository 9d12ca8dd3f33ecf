"""Records in the shape of CloudTrail's, from plain values. Pure.

Source: "CloudTrail record contents", CloudTrail User Guide; the shapes of calls and of service events were recorded on AWS. The event id
is given by the trail.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from geumgo.context import Caller, Session

EVENT_VERSION: Final = "1.09"
ERROR_CODES: Final = {"AccessDeniedException": "AccessDenied"}
"""How the trail names refusals that the wire names otherwise. Source: recorded on AWS."""

AGENT_CHARACTERS: Final = 1_024  # Source: userAgent, CloudTrail record contents
MESSAGE_CHARACTERS: Final = 1_024  # Source: errorMessage, the same page
NAME_CHARACTERS: Final = 256
PARAMETERS_CHARACTERS: Final = 100 << 10  # Source: requestParameters and responseElements, the same page
DEPTH: Final = 16
SIGN_IN_FAILED: Final = "SignInFailedException"
HIDDEN: Final = "HIDDEN_DUE_TO_SECURITY_REASONS"

CHANGES_NOTHING: Final = frozenset(
    ("sts.amazonaws.com", name) for name in ("AssumeRole", "GetSessionToken", "GetFederationToken")
)
"""Calls that may write here (a code of an MFA device is used up) and change nothing. Source: CloudTrail records of STS (`readOnly`)."""

NAMED_BY_CALLER: Final = frozenset({"EncryptionContext", "Tags", "Variables", "Attributes"})
"""Members that may be maps whose keys the caller chose: those keys are kept as they are."""


def api_call(
    *,
    caller: Caller,
    claimed_key: str,
    service: str,
    name: str,
    region: str,
    source_ip: str,
    user_agent: str,
    request_parameters: Mapping[str, Any],
    response_elements: Mapping[str, Any],
    error_code: str,
    error_message: str,
    request_id: str,
    at_ms: int,
    read_only: bool,
    secure: bool,
    identity: Mapping[str, Any] | None = None,
    resources: Sequence[Mapping[str, str]] = (),
    tls: Mapping[str, str] | None = None,
    recipient: str = "",
) -> dict[str, Any]:
    """The record of one call (`eventType: AwsApiCall`).

    `service` is a host name ("kms.amazonaws.com"). `request_parameters` and `response_elements` are by wire names and hold only what may
    be kept. `identity` replaces what `caller` gives (see `web_identity`); `tls` are the members of tlsDetails that are known.
    `recipient` is the account that owns what was asked for, where it is not the caller's.
    """
    through = caller.via[-1] if caller.via else ""
    record: dict[str, Any] = {
        "eventVersion": EVENT_VERSION,
        "userIdentity": dict(identity) if identity is not None else user_identity(caller, claimed_key),
        "eventTime": iso(at_ms),
        "eventSource": bounded(service, NAME_CHARACTERS),
        "eventName": bounded(name, NAME_CHARACTERS),
        "awsRegion": bounded(region, NAME_CHARACTERS),
        "sourceIPAddress": through or bounded(source_ip, NAME_CHARACTERS),
        "userAgent": through or bounded(user_agent, AGENT_CHARACTERS),
    }
    if error_code:
        record["errorCode"] = ERROR_CODES.get(error_code, bounded(error_code, NAME_CHARACTERS))
        if error_message:
            record["errorMessage"] = bounded(error_message, MESSAGE_CHARACTERS)
    record["requestParameters"], omitted_request = members(request_parameters)
    record["responseElements"], omitted_response = members(response_elements)
    if omitted_request or omitted_response:
        record["omitted"] = True
    record["requestID"] = bounded(request_id, NAME_CHARACTERS)
    record["readOnly"] = read_only or (service, name) in CHANGES_NOTHING
    if resources:
        record["resources"] = [dict(resource) for resource in resources]
    record["eventType"] = "AwsApiCall"
    record["managementEvent"] = True
    record["recipientAccountId"] = recipient or caller.account
    record["eventCategory"] = "Management"
    if secure and tls and not through:
        record["tlsDetails"] = dict(tls)
    if caller.session is not None and caller.session.password:
        record["sessionCredentialFromConsole"] = "true"
    return record


def resource(arn: str, account: str, kind: str) -> dict[str, str]:
    """A thing that a call touched, as a record names it. `kind` is its CloudFormation type: "AWS::KMS::Key"."""
    return {"ARN": arn, "accountId": account, "type": kind}


def service_event(
    *, service: str, name: str, region: str, account: str, at_ms: int, request_id: str, details: Mapping[str, Any]
) -> dict[str, Any]:
    """The record of something that a service did by itself (`eventType: AwsServiceEvent`).

    `details` become additionalEventData, under their own names; but `errorMessage` and `requestID` among them are the record's own
    members of these names.
    """
    more = {key: plain(value) for key, value in details.items() if key not in ("errorMessage", "requestID")}
    record: dict[str, Any] = {
        "eventVersion": EVENT_VERSION,
        "userIdentity": {"accountId": account, "invokedBy": service},
        "eventTime": iso(at_ms),
        "eventSource": service,
        "eventName": name,
        "awsRegion": region,
        "sourceIPAddress": service,
        "userAgent": service,
    }
    if "errorMessage" in details:
        record["errorMessage"] = bounded(str(details["errorMessage"]), MESSAGE_CHARACTERS)
    return {
        **record,
        "requestParameters": None,
        "responseElements": None,
        "additionalEventData": more or None,
        "requestID": bounded(str(details.get("requestID", request_id)), 2 * NAME_CHARACTERS),
        "readOnly": False,
        "eventType": "AwsServiceEvent",
        "managementEvent": True,
        "recipientAccountId": account,
        "eventCategory": "Management",
    }


def console_sign_in(record: Mapping[str, Any], *, mfa_used: bool, known: bool) -> dict[str, Any]:
    """The record of a sign-in with a password (`eventType: AwsConsoleSignIn`), made of that of the call. `known`: there is such a user.

    Source: "AWS Management Console sign-in events", CloudTrail User Guide. There is no LoginTo: the console has no address of its own.
    """
    failed = "errorCode" in record
    shaped = {name: value for name, value in record.items() if name != "errorCode"}
    if record.get("errorCode") == SIGN_IN_FAILED:
        shaped["errorMessage"] = "Failed authentication" if known else "No username found in supplied account"
    return shaped | {
        "eventSource": "signin.amazonaws.com",
        "eventName": "ConsoleLogin",
        "requestParameters": None,
        "responseElements": {"ConsoleLogin": "Failure" if failed else "Success"},
        "additionalEventData": {"MobileVersion": "No", "MFAUsed": "Yes" if mfa_used else "No"},
        "eventType": "AwsConsoleSignIn",
    }


# -- who ------------------------------------------------------------------------------------------------------------------


def user_identity(caller: Caller, claimed_key: str = "") -> dict[str, Any]:
    """The userIdentity of a caller. `claimed_key` is what an unproven signature said; a proven key id stands in `caller`."""
    if caller.kind == "Anonymous":
        identity: dict[str, Any] = {"type": "Unknown", "principalId": "", "accountId": ""}
        if claimed_key:
            identity["accessKeyId"] = bounded(claimed_key, NAME_CHARACTERS)
        return identity
    if caller.kind == "AWSService":
        return {"type": "AWSService", "accountId": caller.account, "invokedBy": caller.name}
    identity = {
        "type": caller.kind,
        "principalId": caller.unique_id,
        "arn": caller.arn,
        "accountId": caller.account,
        "accessKeyId": caller.access_key_id or claimed_key,
    }
    if caller.kind == "IAMUser":
        identity["userName"] = caller.name
    if caller.session is not None:
        identity["sessionContext"] = session_context(caller, caller.session)
    if caller.via:
        identity["invokedBy"] = caller.via[-1]
    return identity


def session_context(caller: Caller, session: Session) -> dict[str, Any]:
    """The sessionContext of temporary credentials."""
    context: dict[str, Any] = {}
    if caller.kind in ("AssumedRole", "FederatedUser"):
        context["sessionIssuer"] = {
            "type": "Role" if caller.kind == "AssumedRole" else "IAMUser",
            "principalId": session.issuer_id,
            "arn": session.issuer_arn,
            "accountId": caller.account,
            "userName": session.issuer_name,
        }
    if session.federated_provider is not None:
        context["webIdFederationData"] = {"federatedProvider": session.federated_provider, "attributes": {}}
    context["attributes"] = {
        "creationDate": iso(session.issued_at_ms),
        "mfaAuthenticated": "true" if session.mfa else "false",
    }
    if session.source_identity is not None:
        context["sourceIdentity"] = session.source_identity
    return context


def web_identity(provider: str, audience: str, subject: str) -> dict[str, Any]:
    """The userIdentity of AssumeRoleWithWebIdentity: whom the provider (its ARN) has vouched for.

    Source: recorded on AWS.
    """
    return {
        "type": "WebIdentityUser",
        "principalId": bounded(f"{provider}:{audience}:{subject}", 3 * NAME_CHARACTERS),
        "userName": bounded(subject, NAME_CHARACTERS),
        "identityProvider": bounded(provider, NAME_CHARACTERS),
    }


def signing_in(account: str, user: tuple[str, str, str] | None) -> dict[str, Any]:
    """The userIdentity of a sign-in: unique id, ARN and name of the user. None: nobody of that name may; it is not kept.

    People type passwords where the name belongs. Source: the CloudTrail User Guide (HIDDEN_DUE_TO_SECURITY_REASONS).
    """
    if user is None:
        return {"type": "IAMUser", "accountId": account, "accessKeyId": "", "userName": HIDDEN}
    unique_id, arn, name = user
    return {"type": "IAMUser", "principalId": unique_id, "arn": arn, "accountId": account, "userName": name}


def aws_account(account: str, principal_id: str) -> dict[str, Any]:
    """The userIdentity that the owner of a resource sees of a caller in another account. Source: the CloudTrail User Guide."""
    return {"type": "AWSAccount", "principalId": principal_id, "accountId": account}


# -- what -----------------------------------------------------------------------------------------------------------------


def members(values: Mapping[str, Any]) -> tuple[dict[str, Any] | None, bool]:
    """Members under the trail's names, or None if there are none; and whether they were left out because they are too long."""
    if not values:
        return None, False
    kept = {camel(name): value if type(value) is str else _member(name, value) for name, value in values.items()}
    if not _is_surely_short(kept) and len(repr(kept)) > PARAMETERS_CHARACTERS:  # near enough to its length in JSON
        return None, True
    return kept, False


def _is_surely_short(kept: Mapping[str, Any]) -> bool:
    """Whether these are a few short texts: no character takes more than ten to be shown."""
    length = 0
    for value in kept.values():
        if type(value) is not str:
            return False
        length += len(value)
    return len(kept) <= 16 and length <= PARAMETERS_CHARACTERS // 20


@lru_cache(maxsize=2048)
def camel(name: str) -> str:
    """A wire name as the trail writes it: `SecretId` is secretId, `ARN` is arn. Source: recorded on AWS since February 2024."""
    return name.lower() if name.isupper() else name[:1].lower() + name[1:]


def _member(name: str, value: Any) -> Any:
    return plain(value) if name in NAMED_BY_CALLER and isinstance(value, Mapping) else plain(value, renamed=True)


def plain(value: Any, *, renamed: bool = False, depth: int = DEPTH) -> Any:
    """`value` as JSON has it: times as ISO 8601, bytes as base64. With `renamed`, members of structures get the trail's names."""
    if type(value) is str:
        return value
    if isinstance(value, Mapping):
        if not depth:
            return None
        if renamed:
            return {
                camel(str(name)): plain(inner, renamed=str(name) not in NAMED_BY_CALLER, depth=depth - 1)
                for name, inner in value.items()
            }
        return {str(name): plain(inner, depth=depth - 1) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(inner, renamed=renamed, depth=depth - 1) for inner in value] if depth else None
    if isinstance(value, datetime):
        return iso(int(value.timestamp() * 1000))
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return str(value)


def bounded(text: str, characters: int) -> str:
    """`text`, cut to `characters`."""
    return text if len(text) <= characters else text[:characters]


def iso(at_ms: int) -> str:
    """A time (Unix milliseconds) as the trail writes it: to the second, in UTC."""
    return _second(at_ms // 1000)


@lru_cache(maxsize=1024)
def _second(at_s: int) -> str:
    return datetime.fromtimestamp(at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
