"""rest-json: an operation is a method and a path; its members stand in the path, the query string, headers and body."""

import re
from functools import cache
from typing import Any, NamedTuple
from urllib.parse import unquote_to_bytes

import msgspec

from geumgo.errors import TooLarge, Unreadable
from geumgo.message import Request
from geumgo.protocol import json, query, text
from geumgo.protocol.limits import Limits
from geumgo.protocol.shapes import Member, OperationModel, ServiceModel, Shape
from geumgo.protocol.tree import NotInModel, check, scalar

_LABEL = re.compile(r"\{([^}+]+)(\+?)\}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e\t]*")


class Route(NamedTuple):
    """One operation's path and fixed query fields. A segment is literal text, or a label when `labels` names it."""

    operation: OperationModel
    segments: tuple[str, ...]
    labels: tuple[str | None, ...]
    greedy: int | None
    literals: tuple[tuple[str, str], ...]

    def fits(self, segments: list[str]) -> bool:
        if self.greedy is None:
            if len(segments) != len(self.segments):
                return False
        elif len(segments) < len(self.segments):
            return False
        return all(
            bool(given) if label is not None else given == wanted
            for given, wanted, label in zip(self.folded(segments), self.segments, self.labels, strict=True)
        )

    def folded(self, segments: list[str]) -> list[str]:
        """`segments` with those that the greedy label swallows joined into one."""
        if self.greedy is None:
            return segments
        end = len(segments) - (len(self.segments) - self.greedy - 1)
        return [*segments[: self.greedy], "/".join(segments[self.greedy : end]), *segments[end:]]


@cache
def routes(service: ServiceModel) -> dict[str, list[Route]]:
    """The routes of a service by method, the more particular ones first."""
    made: dict[str, list[Route]] = {}
    for operation in service.operations.values():
        path, _, literals = operation.uri.partition("?")
        segments = tuple(_split(path))
        found = [_LABEL.fullmatch(segment) for segment in segments]
        route = Route(
            operation,
            segments,
            tuple(match.group(1) if match else None for match in found),
            next((index for index, match in enumerate(found) if match and match.group(2)), None),
            tuple((key, value) for key, _, value in (field.partition("=") for field in literals.split("&") if field)),
        )
        made.setdefault(operation.method, []).append(route)
    for several in made.values():
        several.sort(key=_generality)
    return made


def _generality(route: Route) -> tuple[int, ...]:
    """Fixed query fields make a route particular, then no greedy label, then many segments, then few labels."""
    labels = sum(label is not None for label in route.labels)
    return (-len(route.literals), route.greedy is not None, -len(route.segments), labels)


def find(service: ServiceModel, request: Request, limits: Limits) -> OperationModel | None:
    """The operation that `request` means, or None.

    Raises:
        Unreadable: the path or the query string is broken.

    """
    segments = _segments(request)
    said: dict[str, str] | None = None
    for route in routes(service).get(request.method, ()):
        if route.fits(segments):
            if route.literals and said is None:
                said = dict(query.pairs(request.query, limits))
            if all((said or {}).get(key) == value for key, value in route.literals):
                return route.operation
    return None


def _split(path: str) -> list[str]:
    return path.strip("/").split("/")


def _segments(request: Request) -> list[str]:
    """The decoded segments of the path. A slash at the end does not count; an escaped one is part of its segment."""
    try:
        return [unquote_to_bytes(segment).decode("utf-8") for segment in request.path.strip(b"/").split(b"/")]
    except UnicodeDecodeError:
        raise Unreadable("The path is not UTF-8.") from None


def decode(service: ServiceModel, operation: OperationModel, request: Request, limits: Limits) -> dict[str, Any]:
    """The typed values of a request, from wherever they stand in it.

    Raises:
        TooLarge, Unreadable: as the body's codec does.

    """
    if len(request.body) > limits.size:
        raise TooLarge(f"The request must not be larger than {limits.size} bytes.")
    shape = operation.input
    if shape is None:
        return {}
    found = _outside(service, operation, shape, request, limits)
    if shape.payload is not None:
        member = shape.members[shape.payload]
        if member.shape.kind == "blob":
            if request.body:
                found[member.name] = request.body
        elif request.body:
            found[member.name] = json.READER.member(member, json.read_object(request.body, limits))
    elif any(member.location is None for member in shape.members.values()):
        body = json.READER.structure(shape, json.read_object(request.body, limits) if request.body else {})
        # A member that has its place elsewhere cannot be slipped in by the body.
        found |= {name: value for name, value in body.items() if shape.members[name].location is None}
    return found


def _outside(
    service: ServiceModel, operation: OperationModel, shape: Shape, request: Request, limits: Limits
) -> dict[str, Any]:
    """The members that stand in the path, the query string and the headers."""
    labels = _labels(service, operation, request)
    said: dict[str, list[str]] = {}
    for key, value in query.pairs(request.query, limits):
        said.setdefault(key, []).append(value)
    found = {}
    for name, member in shape.members.items():
        match member.location:
            case "uri":
                found[name] = text.read(member, labels[member.wire], limits, "iso8601")
            case "querystring" if member.wire in said:
                found[name] = _from_query(member, said[member.wire], limits)
            case "header":
                header = request.header(member.wire.lower().encode())
                if header is not None:
                    found[name] = text.read(member, _header_text(header), limits, "rfc822")
    return found


def _labels(service: ServiceModel, operation: OperationModel, request: Request) -> dict[str, str]:
    route = next(route for route in routes(service)[operation.method] if route.operation is operation)
    given = route.folded(_segments(request))
    return {label: value for label, value in zip(route.labels, given, strict=True) if label is not None}


def _from_query(member: Member, values: list[str], limits: Limits) -> Any:
    if member.shape.kind == "list":
        return [text.read(member.shape.element, value, limits, "iso8601") for value in values]
    if len(values) > 1:
        raise Unreadable("A field stands twice in the query string.")
    return text.read(member, values[0], limits, "iso8601")


def _header_text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise Unreadable("A header is not UTF-8.") from None


class Encoded(NamedTuple):
    """The parts of an answer that the members decide."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


def encode(operation: OperationModel, answer: Any) -> Encoded:
    """Status, headers and body of an answer.

    Raises:
        NotInModel: `answer` is not what the model describes, or a header cannot hold its value.

    """
    shape, status = operation.output, operation.status
    if shape is None:
        check(not answer, "answers nothing")
        return Encoded(status, [], b"")
    check(isinstance(answer, dict), "is not a dict")
    headers, inside = [], {}
    for name, value in answer.items():
        member = shape.members.get(name)
        if member is None:
            raise NotInModel(f"{shape.name} has no member {name}")
        if member.location == "statusCode":
            status = int(text.write(member, value, "iso8601"))
        elif member.location == "header":
            headers.append((member.wire.encode("ascii"), to_header(member, value)))
        else:
            inside[name] = value
    return Encoded(status, headers, _body(shape, inside))


def _body(shape: Shape, inside: dict[str, Any]) -> bytes:
    if shape.payload is None:
        if not inside and all(member.location for member in shape.members.values()):
            return b""
        return msgspec.json.encode(json.WRITER.structure(shape, inside))
    check(not set(inside) - {shape.payload}, "has members beside its payload")
    if shape.payload not in inside:
        return b""
    member, value = shape.members[shape.payload], inside[shape.payload]
    if member.shape.kind == "blob":
        return bytes(scalar(member, value))
    return msgspec.json.encode(json.WRITER.member(member, value))


def to_header(member: Member, value: Any) -> bytes:
    """`value` as it stands in a header.

    Raises:
        NotInModel: it is not of its type, or would end the header.

    """
    written = text.write(member, value, "rfc822")
    check(_HEADER_VALUE.fullmatch(written) is not None, f"{member.name} cannot stand in a header")
    return written.encode("ascii")
