"""The query protocol's requests: a form whose keys are paths, `Tags.member.1.Key=team`. XML is never read."""

import re
from typing import Any
from urllib.parse import unquote_to_bytes

from geumgo.errors import TooLarge, Unreadable
from geumgo.message import Request
from geumgo.protocol import text
from geumgo.protocol.limits import Limits
from geumgo.protocol.shapes import Member, Shape

_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")


class Node:
    """What is said under one path: a value, and what lies below it."""

    __slots__ = ("below", "value")

    def __init__(self) -> None:
        self.value: str | None = None
        self.below: dict[str, Node] = {}


def pairs(data: bytes, limits: Limits) -> list[tuple[str, str]]:
    """The fields of a form or a query string, unescaped, in order.

    Raises:
        Unreadable: more fields than `limits.nodes`, a broken escape, or not UTF-8.

    """
    if not data:
        return []
    if data.count(b"&") >= limits.nodes:
        raise Unreadable(f"The request holds more than {limits.nodes} fields.")
    if _BAD_ESCAPE.search(data):
        raise Unreadable("The request holds a broken escape.")
    try:
        plain = data.replace(b"+", b" ")
        split = [field.partition(b"=") for field in plain.split(b"&") if field]
        return [(unquote_to_bytes(key).decode(), unquote_to_bytes(value).decode()) for key, _, value in split]
    except UnicodeDecodeError:
        raise Unreadable("The request is not UTF-8.") from None


def fields(request: Request, limits: Limits) -> dict[str, str]:
    """The fields of a query request: those of its query string, and those of its body when it has one.

    Raises:
        TooLarge: the body is larger than `limits.size`.
        Unreadable: a field stands twice, or what `pairs` refuses.

    """
    if len(request.body) > limits.size:
        raise TooLarge(f"The request must not be larger than {limits.size} bytes.")
    body = pairs(request.body, limits) if request.method != "GET" else []
    found = pairs(request.query, limits) + body
    made = dict(found)
    if len(made) != len(found):
        raise Unreadable("A field stands twice in the request.")
    return made


def decode(shape: Shape | None, request: Request, limits: Limits) -> dict[str, Any]:
    """The typed values of a query request."""
    said = fields(request, limits)
    if shape is None:
        return {}
    return _Form(limits).structure(shape, _tree(said, limits))


def _tree(said: dict[str, str], limits: Limits) -> Node:
    root = Node()
    for path, value in said.items():
        if path.count(".") > 2 * limits.depth:  # a list takes two steps: its name and an index
            raise Unreadable(f"The request is nested deeper than {limits.depth} levels.")
        node = root
        for step in path.split("."):
            node = node.below.setdefault(step, Node())
        node.value = value
    return root


class _Form:
    """Reads the tree of a form along a shape. What the model does not know is ignored."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def structure(self, shape: Shape, node: Node) -> dict[str, Any]:
        found = {}
        for name, member in shape.members.items():
            below = node.below.get(member.wire)
            if member.flattened and member.shape.kind == "list" and member.shape.element.named:
                below = node.below.get(member.shape.element.wire, below)  # under its own name it can only be empty
            if below is not None:
                found[name] = self.member(member, below)
        if shape.union and len(found) != 1:
            raise Unreadable("Exactly one member of a union must be set.")
        return found

    def member(self, member: Member, node: Node) -> Any:
        match member.shape.kind:
            case "structure":
                return self.structure(member.shape, node)
            case "list":
                return self.sequence(member, node)
            case "map":
                return self.mapping(member, node)
        if node.value is None:
            raise Unreadable("Start of structure or map found where not expected.")
        return text.read(member, node.value, self.limits, "iso8601")

    def sequence(self, member: Member, node: Node) -> list[Any]:
        element = member.shape.element
        held = node
        if not member.flattened and node.below:
            # Some clients write "member" where the model has a name of its own, as older documentation did.
            steps = [step for step in {element.wire, "member"} if step in node.below]
            if len(steps) != 1:
                raise Unreadable("A list is not written as a list.")
            held = node.below[steps[0]]
        return [self.member(element, item) for item in self.in_order(held)]

    def mapping(self, member: Member, node: Node) -> dict[str, Any]:
        leads_from, leads_to = member.shape.entry
        held = node if member.flattened else node.below.get("entry", Node())
        made = {}
        for entry in self.in_order(held):
            key, value = entry.below.get(leads_from.wire), entry.below.get(leads_to.wire)
            if key is None or key.value is None or value is None:
                raise Unreadable("An entry of a map has no key or no value.")
            if key.value in made:
                raise Unreadable("A key stands twice in one map.")
            made[key.value] = self.member(leads_to, value)
        return made

    def in_order(self, node: Node) -> list[Node]:
        """The numbered nodes below `node`: 1, 2, 3 and so on without a gap."""
        below = node.below
        found = [below[step] for step in map(str, range(1, len(below) + 1)) if step in below]
        if len(found) != len(below):
            raise Unreadable("The elements of a list are not numbered 1, 2, 3 ...")
        return found
