"""The query protocol's answers: XML, written and never read."""

import re
from typing import Any
from xml.sax.saxutils import escape as _escape

from geumgo.protocol import text
from geumgo.protocol.shapes import Member, OperationModel, ServiceModel, Shape
from geumgo.protocol.tree import NotInModel, check, scalar

# What XML 1.0 cannot hold in any form. Source: XML 1.0, production 2 (Char).
_IMPOSSIBLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def escape(value: str) -> str:
    """`value` as the text of an element. A carriage return is kept; what XML cannot hold becomes U+FFFD."""
    return _IMPOSSIBLE.sub("\ufffd", _escape(value, {"\r": "&#xD;", '"': "&quot;"}))


def encode(service: ServiceModel, operation: OperationModel, answer: Any, request_id: str) -> bytes:
    """The document that answers `operation`.

    Raises:
        NotInModel: `answer` is not what the model describes.

    """
    out = [f'<{operation.name}Response xmlns="{escape(service.xml_namespace)}">']
    if operation.output is None:
        check(not answer, "answers nothing")
    else:
        wrapper = operation.result_wrapper
        out.append(f"<{wrapper}>" if wrapper else "")
        _structure(out, operation.output, answer)
        out.append(f"</{wrapper}>" if wrapper else "")
    out.append(f"<ResponseMetadata><RequestId>{escape(request_id)}</RequestId></ResponseMetadata>")
    out.append(f"</{operation.name}Response>")
    return "".join(out).encode()


def encode_error(
    namespace: str, *, fault: bool, code: str, message: str, members: list[tuple[Member, Any]], request_id: str
) -> bytes:
    """The document of a refusal. `members` are those that the error's model has beside its message."""
    out = [f'<ErrorResponse xmlns="{escape(namespace)}">']
    out.append(f"<Error><Type>{'Receiver' if fault else 'Sender'}</Type><Code>{escape(code)}</Code>")
    out.append(f"<Message>{escape(message)}</Message>")
    for member, value in members:
        _member(out, member, value)
    out.append(f"</Error><RequestId>{escape(request_id)}</RequestId></ErrorResponse>")
    return "".join(out).encode()


def _structure(out: list[str], shape: Shape, value: Any) -> None:
    check(isinstance(value, dict), "is not a dict")
    check(not shape.union or len(value) == 1, "is a union and must have exactly one member")
    for name, item in value.items():
        member = shape.members.get(name)
        if member is None:
            raise NotInModel(f"{shape.name} has no member {name}")
        try:
            _member(out, member, item)
        except NotInModel as wrong:
            raise wrong.inside(name) from None


def _member(out: list[str], member: Member, value: Any, tag: str = "") -> None:
    shape, tag = member.shape, tag or member.wire
    match shape.kind:
        case "structure":
            out.append(f"<{tag}>")
            _structure(out, shape, value)
            out.append(f"</{tag}>")
        case "list":
            _list(out, member, value, tag)
        case "map":
            _map(out, member, value, tag)
        case _:
            out.append(f"<{tag}>{escape(text.write(member, value, 'iso8601'))}</{tag}>")


def _list(out: list[str], member: Member, value: Any, tag: str) -> None:
    check(isinstance(value, list | tuple), "is not a list")
    element = member.shape.element
    if member.flattened:
        for item in value:
            _member(out, element, item, element.wire if element.named else tag)
        return
    out.append(f"<{tag}>")
    for item in value:
        _member(out, element, item)
    out.append(f"</{tag}>")


def _map(out: list[str], member: Member, value: Any, tag: str) -> None:
    check(isinstance(value, dict), "is not a dict")
    leads_from, leads_to = member.shape.entry
    entry = tag if member.flattened else "entry"
    out.append("" if member.flattened else f"<{tag}>")
    for key, item in value.items():
        out.append(f"<{entry}><{leads_from.wire}>{escape(scalar(leads_from, key))}</{leads_from.wire}>")
        _member(out, leads_to, item)
        out.append(f"</{entry}>")
    out.append("" if member.flattened else f"</{tag}>")
