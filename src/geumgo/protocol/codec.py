"""The one way in and out of the wire: each function hands over to the codec of the protocol that was spoken."""

from collections.abc import Callable
from typing import Any

import cbor2
import msgspec

from geumgo.errors import ServiceError
from geumgo.message import Answer, Request
from geumgo.protocol import cbor, json, query, rest_json, xml
from geumgo.protocol.limits import DEFAULT, Limits
from geumgo.protocol.shapes import Call, ErrorModel, Family, Member
from geumgo.protocol.tree import NotInModel

Headers = tuple[tuple[bytes, bytes], ...]


def decode(call: Call, request: Request, limits: Limits = DEFAULT) -> dict[str, Any]:
    """The typed values of a request by the model's names. Unknown members are ignored, null ones are absent.

    Raises:
        TooLarge: the body is larger than `limits.size`.
        Unreadable: it is not what the protocol demands, or a value has not its type.

    """
    match call.protocol:
        case "json":
            return json.decode(call.operation.input, request.body, limits)
        case "query":
            return query.decode(call.operation.input, request, limits)
        case "cbor":
            return cbor.decode(call.operation.input, request.body, limits)
    return rest_json.decode(call.service, call.operation, request, limits)


def encode(call: Call, answer: Any, request_id: str) -> Answer:
    """`answer` as the caller's protocol has it.

    Raises:
        NotInModel: it holds what the model does not describe: a programmer's error, named without the value.

    """
    try:
        return _encode(call, answer, request_id)
    except NotInModel as wrong:
        raise wrong.inside(f"{call.service.name} {call.operation.name}") from None


def _encode(call: Call, answer: Any, request_id: str) -> Answer:
    operation = call.operation
    match call.protocol:
        case "json":
            return Answer(200, _headers(request_id, call.service.json_type), json.encode(operation.output, answer))
        case "query":
            body = xml.encode(call.service, operation, answer, request_id)
            return Answer(200, _headers(request_id, b"text/xml"), body)
        case "cbor":
            body = cbor.encode(operation.output, answer)
            return Answer(200, _headers(request_id, b"application/cbor", *_RPC), body)
    encoded = rest_json.encode(operation, answer)
    return Answer(encoded.status, _headers(request_id, b"application/json", *encoded.headers), encoded.body)


def alike(call: Call, fixed: dict[str, Any], name: str) -> Callable[[Any, str], Answer]:
    """What makes the answers to one call of which all but the member `name` are `fixed`, from its value and a request id: as `encode`.

    The value must be one that the model describes.
    """
    output = call.operation.output
    assert output is not None, f"{call.operation.name} answers something"
    if call.protocol != "json":
        return lambda value, request_id: encode(call, {**fixed, name: value}, request_id)
    member, type_ = output.members[name], call.service.json_type
    head = b'%b%b"%b":' % (json.encode(output, fixed)[:-1], b"," if fixed else b"", member.wire.encode("ascii"))
    write, text = json.WRITER.member, msgspec.json.Encoder().encode

    def answer(value: Any, request_id: str) -> Answer:
        return Answer(200, _headers(request_id, type_), b"%b%b}" % (head, text(write(member, value))))

    return answer


def encode_error(call: Call | Family, error: ServiceError, request_id: str) -> Answer:
    """`error` as the caller's protocol has it. `call` is the protocol alone where no operation was found.

    Raises:
        NotInModel: the error has members that its model does not describe.

    """
    family: Family = call if isinstance(call, str) else call.protocol
    model = None if isinstance(call, str) else call.service.errors.get(error.code)
    match family:
        case "query":
            return _query_error(call, model, error, request_id)
        case "cbor":
            body = cbor2.dumps(_error_tree(model, error, cbor.WRITER.member))
            headers = (*_RPC, *_query_compatible(call, model, error))
            return Answer(_status(model, error), _headers(request_id, b"application/cbor", *headers), body)
        case "json":
            body = msgspec.json.encode(_error_tree(model, error, json.WRITER.member))
            headers = _query_compatible(call, model, error)
            return Answer(_status(model, error), _headers(request_id, _json_type(call), *headers), body)
    return _rest_error(model, error, request_id)


# The namespace of what no service answered. Source: recorded on AWS (STS, an unknown action).
_FAULT = "http://webservices.amazon.com/AWSFault/2005-15-09"
_RPC = ((b"smithy-protocol", b"rpc-v2-cbor"),)


def _headers(request_id: str, content_type: bytes, *more: tuple[bytes, bytes]) -> Headers:
    return ((b"x-amzn-RequestId", request_id.encode("ascii")), (b"Content-Type", content_type), *more)


def _json_type(call: Call | Family) -> bytes:
    return b"application/x-amz-json-1.1" if isinstance(call, str) else call.service.json_type


def _status(model: ErrorModel | None, error: ServiceError) -> int:
    """Source: JSON services answer 400 to whatever the caller did, 500 to faults, unless their model says otherwise."""
    if model is None:
        return error.status
    return model.status or (500 if model.fault else error.status)


def _name(model: ErrorModel | None, error: ServiceError) -> str:
    return error.code if model is None else model.name


def _error_tree(model: ErrorModel | None, error: ServiceError, write: Any) -> dict[str, Any]:
    """The body of a refusal.

    Modelled errors name their message as the model does, front-end ones in lower case, but for the denial of access. A
    front-end error without a message has no such member.

    Source: recorded on AWS. Unverified: that the denial has a capital letter on every JSON service.
    """
    text = "Message" if error.code == "AccessDeniedException" else "message"
    if model is not None:
        text = model.text or "message"
    tree = {"__type": _name(model, error)}
    if error.message or model is not None:
        tree[text] = error.message
    for member, value in _further(model, error):
        tree[member.wire] = write(member, value)
    return tree


def _further(model: ErrorModel | None, error: ServiceError) -> list[tuple[Member, Any]]:
    """The members that an error has beside its message."""
    members = model.shape.members if model is not None else {}
    unknown = set(error.members) - set(members)
    if unknown:
        raise NotInModel(f"{error.code} has no members {', '.join(sorted(unknown))}")
    return [(members[name], value) for name, value in error.members.items()]


def _query_compatible(call: Call | Family, model: ErrorModel | None, error: ServiceError) -> Headers:
    """For services that once spoke the query protocol: the name that the error had there.

    Source: Smithy, awsQueryCompatible trait.
    """
    if isinstance(call, str) or not call.service.query_compatible:
        return ()
    code = model.code if model is not None else error.query_code or error.code
    who = "Receiver" if _status(model, error) >= 500 else "Sender"
    return ((b"x-amzn-query-error", f"{code};{who}".encode("ascii")),)


def _query_error(call: Call | Family, model: ErrorModel | None, error: ServiceError, request_id: str) -> Answer:
    """Front-end refusals have names of their own here, which wins over a modelled error that happens to be called so.

    Source: STS, which models ExpiredTokenException (400) for tokens it is asked to exchange, and answers ExpiredToken
    (403) to expired credentials.
    """
    if model is None or error.query_code is not None:
        model, code, status = None, error.query_code or error.code, error.query_status or error.status
    else:
        code, status = model.code, _status(model, error)
    body = xml.encode_error(
        _FAULT if isinstance(call, str) else call.service.xml_namespace,
        fault=status >= 500,
        code=code,
        message=error.message,
        members=_further(model, error),
        request_id=request_id,
    )
    return Answer(status, _headers(request_id, b"text/xml"), body)


def _rest_error(model: ErrorModel | None, error: ServiceError, request_id: str) -> Answer:
    """Unverified: that the front-end errors of rest-json services have the statuses of the query services (403)."""
    status = _status(model, error) if model is not None else error.query_status or error.status
    headers = [(b"x-amzn-ErrorType", _name(model, error).encode("ascii"))]
    inside = {}
    for member, value in _further(model, error):
        if member.location == "header":
            headers.append((member.wire.encode("ascii"), rest_json.to_header(member, value)))
        else:
            inside[member.wire] = json.WRITER.member(member, value)
    text = model.text if model is not None else None
    body = msgspec.json.encode({text or "message": error.message} | inside)
    return Answer(status, _headers(request_id, b"application/json", *headers), body)
