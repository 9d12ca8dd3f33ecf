"""Which operation of which service a request means, and in which protocol it says so."""

import re
from collections.abc import Iterable, Mapping

from geumgo.errors import InvalidSignature, UnknownOperation, Unreadable
from geumgo.message import Request
from geumgo.protocol import query, rest_json
from geumgo.protocol.limits import DEFAULT, Limits
from geumgo.protocol.shapes import Call, Family, ServiceModel

_RPC_PATH = re.compile(rb"/service/([^/]+)/operation/([^/]+)/?")
_FORM = b"application/x-www-form-urlencoded"


def family(request: Request) -> Family:
    """The protocol that `request` speaks, by its outward signs. Never fails: it also tells how to refuse a request.

    Source: Smithy, rpc-v2-cbor (the smithy-protocol header), awsJson (X-Amz-Target), awsQuery (Action in a form).
    """
    if request.header(b"smithy-protocol") is not None:
        return "cbor"
    if request.header(b"x-amz-target") is not None:
        return "json"
    form = (request.header(b"content-type") or b"").partition(b";")[0].strip().lower() == _FORM
    if form or any(field.startswith(b"Action=") for field in request.query.split(b"&", 64)):
        return "query"
    return "json" if request.path == b"/" and request.method == "POST" else "rest-json"


def find(
    services: Mapping[str, ServiceModel], request: Request, signing_name: str | None, limits: Limits = DEFAULT
) -> Call:
    """The operation that `request` calls, out of `services`. Where two services have it, the first one in the mapping.

    `signing_name` is the service of the credential scope that the request was signed for, None if it is not signed.

    Raises:
        UnknownOperation: no service has such an operation.
        InvalidSignature: the operation belongs to a service that signs under another name.
        Unreadable, TooLarge: what must be read to find it is broken.

    """
    chosen = family(request)
    match chosen:
        case "json":
            calls = _by_target(services.values(), request)
        case "cbor":
            calls = _by_rpc_path(services.values(), request)
        case "query":
            calls = _by_action(services.values(), request, limits)
        case _:
            calls = _by_path(services.values(), request, limits)
    if not calls:
        raise UnknownOperation
    for call in calls:
        if signing_name is None or call.service.signing_name == signing_name:
            return call
    # Unverified: the text, with its trailing space as in the recorded text on a wrong region.
    raise InvalidSignature(f"Credential should be scoped to correct service: '{calls[0].service.signing_name}'. ")


def _single(request: Request, name: bytes) -> bytes:
    """The value of a header that must stand once. Two of them could be read differently by a proxy and by us."""
    values = request.all_of(name)
    if len(values) != 1:
        raise Unreadable(f"The header {name.decode()} must stand once.")
    return values[0]


def _calls(services: Iterable[ServiceModel], protocol: Family, prefix: str, name: str) -> list[Call]:
    return [
        Call(service, service.operations[name], protocol)
        for service in services
        if service.target_prefix == prefix and protocol in service.protocols and name in service.operations
    ]


def _by_target(services: Iterable[ServiceModel], request: Request) -> list[Call]:
    if request.header(b"x-amz-target") is None:
        return []
    prefix, _, name = _single(request, b"x-amz-target").decode("latin-1").rpartition(".")
    if request.method != "POST":
        return []
    return _calls(services, "json", prefix, name)


def _by_rpc_path(services: Iterable[ServiceModel], request: Request) -> list[Call]:
    found = _RPC_PATH.fullmatch(request.path)
    if _single(request, b"smithy-protocol") != b"rpc-v2-cbor" or found is None or request.method != "POST":
        return []
    return _calls(services, "cbor", found.group(1).decode("latin-1"), found.group(2).decode("latin-1"))


def _by_action(services: Iterable[ServiceModel], request: Request, limits: Limits) -> list[Call]:
    said = query.fields(request, limits)
    name, version = said.get("Action", ""), said.get("Version", "NO_VERSION_SPECIFIED")
    found = [
        Call(service, service.operations[name], "query")
        for service in services
        if service.api_version == version and "query" in service.protocols and name in service.operations
    ]
    if not found and name:
        # Source: recorded on AWS (STS).
        raise UnknownOperation(f"Could not find operation {name[:128]} for version {version[:32]}")
    return found


def _by_path(services: Iterable[ServiceModel], request: Request, limits: Limits) -> list[Call]:
    candidates = [service for service in services if "rest-json" in service.protocols]
    found = [(service, rest_json.find(service, request, limits)) for service in candidates]
    return [Call(service, operation, "rest-json") for service, operation in found if operation is not None]
