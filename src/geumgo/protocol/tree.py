"""Trees of plain values, as JSON and CBOR carry them, read and written along a shape.

Both protocols agree on structures, lists, maps and most scalars. What differs is how bytes and moments look, and that
is what `Reader` and `Writer` are told.
"""

import math
from collections.abc import Callable
from datetime import datetime
from typing import Any

from geumgo.errors import Unreadable
from geumgo.protocol.shapes import Kind, Member, Shape

Scalar = Callable[[Member, Any], Any]

INT_RANGE = {"integer": 31, "long": 63}  # bits beside the sign


class NotInModel(AssertionError):
    """A programmer's error: an answer that its model does not describe. Names the place, never the value."""

    def inside(self, name: str) -> "NotInModel":
        """The same, seen from the structure or operation that has it under `name`."""
        return NotInModel(f"{name}: {self}")


def in_range(kind: str, number: int) -> bool:
    """Whether `number` fits the `kind` of integer."""
    limit = 1 << INT_RANGE[kind]
    return -limit <= number < limit


class Reader:
    """Turns a tree off the wire into typed values by the model's names.

    Members that the model does not know are ignored, null members are absent. Raises `Unreadable` for anything that
    does not have its type. A fraction given for an integer is cut off.

    Source of this and of the texts: recorded on AWS (a JSON 1.1 service), and SerializationException as clients report
    it. Unverified: null in a list or a map, which is refused here; the texts on maps, booleans and moments.
    """

    def __init__(self, *, blob: Scalar, timestamp: Scalar) -> None:
        self._kinds: dict[Kind, Scalar] = {
            "structure": lambda member, value: self.structure(member.shape, value),
            "list": self._list,
            "map": self._map,
            "string": _string,
            "integer": _integer,
            "long": _integer,
            "float": _float,
            "double": _float,
            "boolean": _boolean,
            "timestamp": timestamp,
            "blob": blob,
            "document": _document,
        }

    def member(self, member: Member, value: Any) -> Any:
        return self._kinds[member.shape.kind](member, value)

    def structure(self, shape: Shape, value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise wrong_type(value, "Expected null")
        kinds, by_wire = self._kinds, shape.by_wire
        found = {}
        for name, item in value.items():
            member = by_wire.get(name)
            if member is not None and item is not None:
                kind = member.shape.kind
                is_text = type(item) is str and kind == "string"
                found[member.name] = item if is_text else kinds[kind](member, item)
        if shape.union and len(found) != 1:
            raise Unreadable("Exactly one member of a union must be set.")
        return found

    def _list(self, member: Member, value: Any) -> list[Any]:
        if type(value) is not list:
            raise wrong_type(value, "Expected list or null")
        element = member.shape.element
        read = self._kinds[element.shape.kind]
        return [read(element, _present(item)) for item in value]

    def _map(self, member: Member, value: Any) -> dict[str, Any]:
        if type(value) is not dict:
            raise wrong_type(value, "Expected map or null")
        _, leads_to = member.shape.entry
        read = self._kinds[leads_to.shape.kind]
        return {key: read(leads_to, _present(item)) for key, item in value.items()}


def wrong_type(value: Any, wanted: str) -> Unreadable:
    """The refusal of a value off the wire that is not `wanted`. Names its type, never the value.

    `wanted` is a scalar with its article ("a String"), or the sentence that stands for a structure, list or map.
    """
    if isinstance(value, dict):
        return Unreadable("Start of structure or map found where not expected.")
    if isinstance(value, list):
        return Unreadable("Start of list found where not expected")
    if wanted.startswith("Expected"):
        return Unreadable(wanted)
    if isinstance(value, bool):
        return Unreadable(f"{'TRUE' if value else 'FALSE'}_VALUE can not be converted to {wanted}")
    names = {str: "STRING_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE", bytes: "BINARY_VALUE"}
    return Unreadable(f"{names.get(type(value), 'NULL_VALUE')} can not be converted to {wanted}")


def _present(value: Any) -> Any:
    if value is None:
        raise Unreadable("NULL_VALUE can not be an element of a list or a map")
    return value


def _string(_: Member, value: Any) -> str:
    if type(value) is not str:
        raise wrong_type(value, "a String")
    return value


def _integer(member: Member, value: Any) -> int:
    shape = member.shape
    wanted = "a Long" if shape.kind == "long" else "an Integer"
    if type(value) is float and math.isfinite(value):
        value = int(value)
    if type(value) is not int:
        raise wrong_type(value, wanted)
    bound = shape.high if value > 0 else shape.low
    if bound is None and not in_range(shape.kind, value):  # the model's own bound refuses the rest in better words
        raise Unreadable(f"NUMBER_VALUE is out of the range of {wanted}")
    return value


def _float(_: Member, value: Any) -> float:
    if type(value) is not float and type(value) is not int:
        raise wrong_type(value, "a Double")
    if not math.isfinite(value):
        raise Unreadable("NUMBER_VALUE must be finite")
    return float(value)


def _boolean(_: Member, value: Any) -> bool:
    if type(value) is not bool:
        raise wrong_type(value, "an Boolean")
    return value


def _document(_: Member, value: Any) -> Any:
    return value


class Writer:
    """Turns an answer into a tree of plain values by the wire's names.

    Raises `NotInModel` for a member that the model does not have, a value of another type, and for None.
    """

    def __init__(self, *, blob: Callable[[bytes], Any], timestamp: Callable[[Member, datetime], Any]) -> None:
        self._kinds: dict[Kind, Scalar] = {
            "structure": lambda member, value: self.structure(member.shape, value),
            "list": self._list,
            "map": self._map,
            "timestamp": lambda member, value: timestamp(member, scalar(member, value)),
            "blob": lambda member, value: blob(scalar(member, value)),
            "document": _document,
        }
        self._places: dict[Shape, dict[str, tuple[str, bool, Scalar, Member]]] = {}

    def member(self, member: Member, value: Any) -> Any:
        return self._writer(member)(member, value)

    def _writer(self, member: Member) -> Scalar:
        if member.shape.kind == "list" and member.shape.element.shape.kind == "string":
            return self._list_of_texts
        return self._kinds.get(member.shape.kind, scalar)

    def _places_of(self, shape: Shape) -> dict[str, tuple[str, bool, Scalar, Member]]:
        """Of each member: its name on the wire, whether it is text, and what writes it. Found out once for each shape."""
        made = {
            name: (member.wire, member.shape.kind == "string", self._writer(member), member)
            for name, member in shape.members.items()
        }
        self._places[shape] = made
        return made

    def structure(self, shape: Shape, value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise NotInModel("is not a dict")
        if shape.union:
            check(len(value) == 1, "is a union and must have exactly one member")
        places = self._places.get(shape) or self._places_of(shape)
        made: dict[str, Any] = {}
        for name, item in value.items():
            place = places.get(name)
            if place is None:
                raise NotInModel(f"{shape.name} has no member {name}")
            wire, is_text, write, member = place
            if is_text and type(item) is str:  # most of what is ever answered
                made[wire] = item
                continue
            try:
                made[wire] = write(member, item)
            except NotInModel as wrong:
                raise wrong.inside(name) from None
        return made

    def _list_of_texts(self, member: Member, value: Any) -> Any:
        if type(value) is list:
            for item in value:
                if type(item) is not str:
                    break
            else:
                return value
        return self._list(member, value)

    def _list(self, member: Member, value: Any) -> list[Any]:
        check(isinstance(value, list | tuple), "is not a list")
        element = member.shape.element
        write = self._kinds.get(element.shape.kind, scalar)
        return [write(element, item) for item in value]

    def _map(self, member: Member, value: Any) -> dict[str, Any]:
        check(isinstance(value, dict), "is not a dict")
        leads_from, leads_to = member.shape.entry
        write = self._kinds.get(leads_to.shape.kind, scalar)
        return {scalar(leads_from, key): write(leads_to, item) for key, item in value.items()}


def check(holds: bool, what: str) -> None:
    if not holds:
        raise NotInModel(what)


_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (float, int),
    "double": (float, int),
    "boolean": (bool,),
    "timestamp": (datetime,),
    "blob": (bytes,),
}


def scalar(member: Member, value: Any) -> Any:
    """`value`, found to be of the type that the model demands.

    Raises:
        NotInModel: it is of another type, None, no finite number, or a moment without a zone.

    """
    kind = member.shape.kind
    if type(value) is str and kind == "string":
        return value
    if not _is_a(kind, value):
        raise NotInModel(f"is {type(value).__name__}, not {kind}")
    if kind in INT_RANGE:
        check(in_range(kind, value), f"is out of the range of {kind}")
    elif kind in ("float", "double"):
        check(math.isfinite(value), "is not finite")
        return float(value)
    elif kind == "timestamp":
        check(value.tzinfo is not None, "has no time zone")
    return value


def _is_a(kind: Kind, value: Any) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "boolean" or not isinstance(value, bool))
