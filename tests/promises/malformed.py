"""Requests along the models with one member wrong, spelled for each protocol by an encoder that checks nothing.

    for bent in bends(operation, base): raw = spell(model, operation, "query", bent.params)

`bends` goes through every member of an operation, the ones inside of others too: each of them missing, of every other type, one below, at
and above each of its bounds, of every class of text that readers stumble over, and much too large; and with members that there are not.
"""

import base64
import copy
import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import cbor2

from geumgo.protocol.shapes import Family, Member, OperationModel, ServiceModel, Shape

DEEPEST = 4  # structures inside each other that are gone into
HUGE = 100_000  # characters, or entries of a list
ABSENT: Any = object()
WRONG: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 1.5, 2**31, -(2**31) - 1, 2**63, 10**19, 1e300, "", "x", "0", "true", [], [None], [[]], ["x", 1], {}, {"": None}, {"x": {}},
)  # fmt: skip
CLASSES: tuple[str, ...] = (
    "é", "e\u0301", "İ", "ß", "ſ", "K", "٣", "𝔘", "🔑", "👩‍🚀", "\u200b", "\u200e", "\u202e", "\u2028", "\ufeff", "\ufffe", "\uffff", "\U0010ffff", "\x00", "\x01",
    "\t", "\n", "\r", "a\r\nb: c", "\x1b[31m", "\x7f", "\x85", "\xa0", "\\", '"', "'", "`", "<!--", "]]>", "&amp;", "%", "%00", "%n%s", "${x}", "{{7*7}}", "$(id)",
    "../..", "/", "//", ".", "..", "*", "?", "[", "^(a+)+$", ":", "a:b:c:d:e:f", "arn:aws:", "arn:aws:iam::123456789012:user/ann", "alias/", "NaN", "-0", "1e999", "null",
)  # fmt: skip
LONE = "\ud800"  # half of a surrogate pair: JSON can spell it, UTF-8 cannot


class Bent(NamedTuple):
    """Parameters by the model's names of which one is wrong, and what is."""

    params: dict[str, Any]
    what: str


class Spelled(NamedTuple):
    """A request before it is signed. Header values hold no line ends."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


def bends(operation: OperationModel, base: dict[str, Any]) -> Iterator[Bent]:
    """Every request that is `base` with one thing wrong."""
    shape = operation.input
    if shape is None:
        yield Bent({"Surplus": 1}, "+Surplus")
        return
    yield Bent({**base, "Surplus": "x", "__class__": {"a": []}, "": None}, "+Surplus")
    yield Bent({name.swapcase(): value for name, value in base.items()}, "other case")
    for path, member in places(shape):
        for what, value in values(member):
            yield Bent(changed(base, path, value), f"{'.'.join(path)}: {what}")


def places(
    shape: Shape, path: tuple[str, ...] = (), inside: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Member]]:
    """Every member with its path. `*` is the first element of a list or value of a map."""
    for name, member in shape.members.items():
        yield from _places(member, (*path, name), (*inside, shape.name))


def _places(member: Member, path: tuple[str, ...], inside: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Member]]:
    yield path, member
    held = member.shape
    if held.kind == "structure" and held.name not in inside and len(inside) < DEEPEST:
        yield from places(held, path, inside)
    elif held.kind == "list":
        yield from _places(held.element, (*path, "*"), inside)
    elif held.kind == "map":
        yield from _places(held.entry[1], (*path, "*"), inside)


def values(member: Member) -> Iterator[tuple[str, Any]]:
    """What is put in the member's place, with a word for it."""
    yield "missing", ABSENT
    for wrong in WRONG:
        yield f"{wrong!r}"[:20], wrong
    yield from _at_bounds(member.shape)
    if member.shape.kind in ("string", "blob", "timestamp"):
        for text in CLASSES:
            yield f"{text!r}", text
            yield f"x{text!r}x", f"x{text}x"
        yield "huge", "x" * HUGE
        yield "lone surrogate", LONE
    if member.shape.kind in ("list", "map", "structure", "document"):
        yield "huge list", ["x"] * 900
        yield "huge map", {f"k{number}": "x" for number in range(900)}
        yield "deep", _deep(40)


def _deep(levels: int) -> Any:
    made: Any = 1
    for _ in range(levels):
        made = [{"x": made}]
    return made


def _at_bounds(shape: Shape) -> Iterator[tuple[str, Any]]:
    bounds = [bound for bound in (shape.low, shape.high) if bound is not None]
    for size in sorted({int(bound) + step for bound in bounds for step in (-1, 0, 1)}):
        if shape.kind in ("integer", "long", "float", "double"):
            yield f"{size}", size
        elif 0 <= size <= 2 * HUGE:
            match shape.kind:
                case "string":
                    yield f"{size} characters", "a" * size
                    yield f"{size} wide characters", "비" * size
                case "blob":
                    yield f"{size} bytes", b"\xff" * size
                case "list" if size <= 1_000:
                    yield f"{size} elements", [_plain(shape.element.shape)] * size
                case "map" if size <= 1_000:
                    yield f"{size} entries", {f"k{number}": _plain(shape.entry[1].shape) for number in range(size)}


def _plain(shape: Shape) -> Any:
    made: dict[str, Any] = {
        "structure": {},
        "list": [],
        "map": {},
        "boolean": True,
        "string": shape.enum[0] if shape.enum else "a",
    }
    return made.get(shape.kind, 1)


def changed(base: dict[str, Any], path: tuple[str, ...], value: Any) -> dict[str, Any]:
    """`base` with `value` at `path`; what must be there for that is made."""
    made = copy.deepcopy(base)
    _put(made, path, value)
    return made


def _put(node: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    step, rest = path[0], path[1:]
    if not rest:
        node.pop(step, None)
        if value is not ABSENT:
            node[step] = value
    elif rest[0] == "*":
        held = node.get(step)
        if isinstance(held, dict):
            _put(held, (next(iter(held), "k"), *rest[1:]), value)
            return
        box: dict[str, Any] = {"*": held[0]} if held else {}
        _put(box, rest, value)
        node[step] = list(box.values())
    else:
        below = node.get(step)
        if not isinstance(below, dict):
            below = node[step] = {}
        _put(below, rest, value)


# -- how it is spelled -----------------------------------------------------------------------------------------------------


def spell(service: ServiceModel, operation: OperationModel, family: Family, params: dict[str, Any]) -> Spelled:
    """`params` as a client of that protocol would send them that checks nothing."""
    match family:
        case "json":
            headers = {
                "Content-Type": service.json_type.decode(),
                "X-Amz-Target": f"{service.target_prefix}.{operation.name}",
            }
            return Spelled("POST", "/", headers, as_json(operation.input, params))
        case "cbor":
            target = f"/service/{service.target_prefix}/operation/{operation.name}"
            return Spelled(
                "POST",
                target,
                {"Content-Type": "application/cbor", "Smithy-Protocol": "rpc-v2-cbor"},
                as_cbor(operation.input, params),
            )
        case "query":
            fields = {
                "Action": operation.name,
                "Version": service.api_version,
                **dict(_fields(operation.input, params)),
            }
            body = urlencode(fields, errors="surrogatepass").encode()
            return Spelled("POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}, body)
    return _rest(operation, params)


def as_json(shape: Shape | None, params: dict[str, Any]) -> bytes:
    return json.dumps(
        _tree(shape, params, moment=datetime.timestamp, blob=lambda raw: base64.b64encode(raw).decode())
    ).encode()


def as_cbor(shape: Shape | None, params: dict[str, Any]) -> bytes:
    tree = _tree(shape, params, moment=lambda at: cbor2.CBORTag(1, at.timestamp()), blob=lambda raw: raw)
    return cbor2.dumps(_without_lone(tree))


def _without_lone(value: Any) -> Any:
    """CBOR cannot spell half a surrogate pair at all: bytes stand for it, of another type then."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass") if LONE in value else value
    if isinstance(value, list):
        return [_without_lone(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_lone(item) for key, item in value.items()}
    return value


def _tree(shape: Shape | None, value: Any, *, moment: Any, blob: Any) -> Any:
    """`value` by the names of the wire, wherever it is what the model describes."""
    again = {"moment": moment, "blob": blob}
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, bytes):
        return blob(value)
    if isinstance(value, dict):
        members = shape.members if shape is not None and shape.kind == "structure" else {}
        leads_to = shape.value if shape is not None and shape.kind == "map" else None
        made = {}
        for name, item in value.items():
            member = members.get(name, leads_to)
            made[members[name].wire if name in members else name] = _tree(
                member.shape if member else None, item, **again
            )
        return made
    if isinstance(value, list):
        element = shape.member if shape is not None and shape.kind == "list" else None
        return [_tree(element.shape if element else None, item, **again) for item in value]
    return value


def _text(value: Any) -> str:
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _fields(shape: Shape | None, value: Any, path: str = "", member: Member | None = None) -> Iterator[tuple[str, str]]:
    """The fields of a form."""
    here = f"{path}." if path else ""
    if isinstance(value, dict) and (shape is None or shape.kind != "map"):
        members = shape.members if shape is not None else {}
        for name, item in value.items():
            below = members.get(name)
            yield from _fields(below.shape if below else None, item, here + (below.wire if below else name), below)
    elif isinstance(value, dict):
        assert shape is not None
        leads_from, leads_to = shape.entry
        for number, (name, item) in enumerate(value.items(), 1):
            entry = f"{here}{number}" if member is not None and member.flattened else f"{here}entry.{number}"
            yield f"{entry}.{leads_from.wire}", name
            yield from _fields(leads_to.shape, item, f"{entry}.{leads_to.wire}", leads_to)
    elif isinstance(value, list):
        element = shape.member if shape is not None and shape.kind == "list" else None
        step = "" if member is not None and member.flattened else f"{element.wire if element else 'member'}."
        for number, item in enumerate(value, 1):
            yield from _fields(element.shape if element else None, item, f"{here}{step}{number}", element)
    else:
        yield path, _text(value)


def _rest(operation: OperationModel, params: dict[str, Any]) -> Spelled:
    shape = operation.input
    members = shape.members if shape is not None else {}
    path, _, fixed = operation.uri.partition("?")
    query: list[tuple[str, str]] = []
    headers = {"Content-Type": "application/json"}
    inside: dict[str, Any] = {}
    for name, value in params.items():
        member = members.get(name)
        place = member.location if member is not None else None
        if member is None or place is None:
            inside[name] = value
        elif place == "uri":
            for label in (f"{{{member.wire}}}", f"{{{member.wire}+}}"):
                path = path.replace(
                    label, quote(_text(value), safe="/" if "+" in label else "", errors="surrogatepass")
                )
        elif place == "querystring":
            for item in value if isinstance(value, list) else [value]:
                query.append((member.wire, _text(item)))
        else:
            headers[member.wire] = "".join(letter for letter in _text(value) if "\x20" <= letter < "\x7f").strip()
    for name, member in members.items():
        if member.location == "uri" and name not in params:
            path = path.replace(f"{{{member.wire}}}", "").replace(f"{{{member.wire}+}}", "")
    payload = shape.payload if shape is not None else None
    raw = inside.get(payload) if payload is not None else None
    body = raw if isinstance(raw, bytes) else as_json(shape, inside) if inside else b""
    said = "&".join(part for part in (fixed, urlencode(query, quote_via=quote, errors="surrogatepass")) if part)
    return Spelled(operation.method, f"{path}?{said}" if said else path, headers, body)
