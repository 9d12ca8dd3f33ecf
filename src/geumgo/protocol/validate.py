"""What the front of a service checks along its model before the service sees a request, in the words AWS has for it.

Source of the form: recorded on AWS for KMS and STS; for lists and maps, errors of Lambda, ACM and QuickSight as their
users report them. Unverified: the order of several violations, and how the length of text outside of the Basic
Multilingual Plane is counted (here: code points).
"""

from collections.abc import Callable, Collection, Container, Iterator
from functools import cache
from typing import Any

from geumgo.errors import ValidationFailed
from geumgo.protocol import patterns
from geumgo.protocol.shapes import Member, OperationModel, Shape

MOST_REPORTED = 20  # violations that are spelled out; all are counted
LONGEST_ECHO = 1024  # characters of a value that are repeated to its sender

_REDACTED = "***Sensitive Data Redacted***"
_LENGTHS = ("string", "blob", "list", "map")


def validate(operation: OperationModel, params: dict[str, Any], leave: Collection[str] = ()) -> None:
    """Hold `params` against the bounds, enumerations and patterns of the model.

    `leave` names members that the service checks itself, with what lies inside of them: paths of the model's names,
    without the indexes of lists and keys of maps: `RecoveryWindowInDays`, `Filters.Values`.

    Raises:
        ValidationFailed: at least one does not hold.

    """
    if operation.input is None or _holds(operation, frozenset(leave), params):
        return
    found = list(_structure(operation.input, params, "", "", leave))
    if not found:
        return
    count = f"{len(found)} validation error{'s' if len(found) > 1 else ''} detected: "
    raise ValidationFailed(count + "; ".join(found[:MOST_REPORTED]))


# -- whether all is well, which it mostly is: each operation's checks are made once ----------------------------------------


Check = Callable[[Any], bool]


def _holds(operation: OperationModel, leave: frozenset[str], params: dict[str, Any]) -> bool:
    """Whether nothing is violated. What is, the functions below say."""
    required, checks = _checks(operation, leave)
    for name in required:
        if name not in params:
            return False
    for name, value in params.items():
        fits = checks.get(name)
        if fits is not None and not fits(value):
            return False
    return True


@cache  # there are as many as operations
def _checks(operation: OperationModel, leave: frozenset[str]) -> tuple[tuple[str, ...], dict[str, Check]]:
    """The members that must be there, and what checks the value of each member of which something is asked."""
    assert operation.input is not None, "nothing is asked of an operation without an input"
    members = {name: member for name, member in operation.input.members.items() if name not in leave}
    required = tuple(name for name in members if name in operation.input.required)
    return required, {name: _check(member, name, leave) for name, member in members.items()}


def _check(member: Member, path: str, leave: frozenset[str]) -> Check:
    shape = member.shape
    if shape.kind != "string":
        return lambda value: next(_member(member, value, "", path, leave), None) is None
    low, high, enum, pattern = shape.low or 0, shape.high, shape.enum, shape.pattern
    longest = high if high is not None else patterns.UNBOUNDED_LENGTH if pattern is not None else float("inf")

    def fits(value: str) -> bool:
        return (
            low <= len(value) <= longest
            and (not enum or value in enum)
            and (pattern is None or patterns.fits(pattern, value))
        )

    return fits


# -- what is violated ------------------------------------------------------------------------------------------------------


def lower_camel(name: str) -> str:
    """How the front of a service spells a member: `SecretId` is `secretId`, `DBName` is `dBName`."""
    return name[:1].lower() + name[1:]


def _structure(shape: Shape, value: dict[str, Any], path: str, model_path: str, leave: Container[str]) -> Iterator[str]:
    """The violations in a structure. `path` is AWS's spelling of where it stands, `model_path` the model's."""
    for name, member in shape.members.items():
        if name not in value and name not in shape.required:
            continue
        below = f"{model_path}{name}"
        if below in leave:
            continue
        at = f"{path}{lower_camel(name)}"
        if name in value:
            yield from _member(member, value[name], at, below, leave)
        else:
            yield f"Value null at '{at}' failed to satisfy constraint: Member must not be null"


def _member(member: Member, value: Any, at: str, below: str, leave: Container[str]) -> Iterator[str]:
    for constraint in _violated(member.shape, value):
        yield _said(member, value, at, constraint)
    match member.shape.kind:
        case "structure":
            yield from _structure(member.shape, value, f"{at}.", f"{below}.", leave)
        case "list":
            yield from _list(member, value, at, below, leave)
        case "map":
            yield from _map(member, value, at, below, leave)


def _list(member: Member, value: list[Any], at: str, below: str, leave: Container[str]) -> Iterator[str]:
    """Scalars are reported once for the list, with all that is asked of each; anything else one by one."""
    element = member.shape.element
    if _is_nested(element):
        for index, item in enumerate(value, 1):
            yield from _member(element, item, f"{at}.{index}.member", below, leave)
    elif any(next(_violated(element.shape, item), None) for item in value):
        yield _said(member, value, at, f"Member must satisfy constraint: [{', '.join(_constraints(element.shape))}]")


def _map(member: Member, value: dict[str, Any], at: str, below: str, leave: Container[str]) -> Iterator[str]:
    key, leads_to = member.shape.entry
    if any(next(_violated(key.shape, item), None) for item in value):
        yield _said(member, value, at, f"Map keys must satisfy constraint: [{', '.join(_constraints(key.shape))}]")
    if _is_nested(leads_to):
        for name, item in value.items():
            yield from _member(leads_to, item, f"{at}.{name[:LONGEST_ECHO]}.member", below, leave)
    elif any(next(_violated(leads_to.shape, item), None) for item in value.values()):
        yield _said(
            member, value, at, f"Map value must satisfy constraint: [{', '.join(_constraints(leads_to.shape))}]"
        )


def _is_nested(member: Member) -> bool:
    return member.shape.kind in ("structure", "list", "map")


def _violated(shape: Shape, value: Any) -> Iterator[str]:
    """What is asked of `value` and does not hold."""
    size = len(value) if shape.kind in _LENGTHS else value
    too_long = False
    if shape.high is not None and size > shape.high:
        too_long = True
        yield _upper(shape)
    if shape.low is not None and size < shape.low:
        yield _lower(shape)
    if shape.enum and value not in shape.enum:
        yield _enumeration(shape)
    if shape.pattern is not None and shape.kind == "string" and not too_long:
        bounded = shape.high is not None or size <= patterns.UNBOUNDED_LENGTH
        if not bounded or not patterns.fits(shape.pattern, value):
            yield _pattern(shape)


def _constraints(shape: Shape) -> list[str]:
    """All that is asked of a value of `shape`."""
    asked = [_upper(shape)] if shape.high is not None else []
    asked += [_lower(shape)] if shape.low is not None else []
    asked += [_enumeration(shape)] if shape.enum else []
    asked += [_pattern(shape)] if shape.pattern is not None else []
    return asked


def _upper(shape: Shape) -> str:
    return f"Member must have {_measure(shape)} less than or equal to {_number(shape, shape.high)}"


def _lower(shape: Shape) -> str:
    return f"Member must have {_measure(shape)} greater than or equal to {_number(shape, shape.low)}"


def _enumeration(shape: Shape) -> str:
    return f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"


def _pattern(shape: Shape) -> str:
    return f"Member must satisfy regular expression pattern: {shape.pattern}"


def _measure(shape: Shape) -> str:
    return "length" if shape.kind in _LENGTHS else "value"


def _number(shape: Shape, bound: float | None) -> str:
    assert bound is not None, "no bound"
    return str(float(bound)) if shape.kind in ("float", "double") else str(int(bound))


def _said(member: Member, value: Any, at: str, constraint: str) -> str:
    echo = _echo(member, value)
    shown = f"Value '{echo}'" if echo is not None else "Value"
    return f"{shown} at '{at}' failed to satisfy constraint: {constraint}"


def _echo(member: Member, value: Any) -> str | None:
    """`value` as it is repeated to its sender, None for what must not be: anything sensitive, and bytes."""
    if member.sensitive or member.shape.kind == "blob" or _only_sensitive(member.shape):
        return None
    return _spelled(member, value)[:LONGEST_ECHO]


def _only_sensitive(shape: Shape) -> bool:
    match shape.kind:
        case "list":
            return shape.element.sensitive
        case "map":
            return any(member.sensitive for member in shape.entry)
    return False


def _spelled(member: Member, value: Any) -> str:
    """`value` as Java prints it: `[a, b]`, `{a=b}`, `Tag(Key=a, Value=b)`."""
    shape = member.shape
    if member.sensitive or shape.kind == "blob":
        return _REDACTED
    match shape.kind:
        case "list":
            return f"[{', '.join(_spelled(shape.element, item) for item in value)}]"
        case "map":
            key, leads_to = shape.entry
            return f"{{{', '.join(f'{_spelled(key, k)}={_spelled(leads_to, v)}' for k, v in value.items())}}}"
        case "structure":
            inside = ", ".join(f"{name}={_spelled(shape.members[name], item)}" for name, item in value.items())
            return f"{shape.name}({inside})"
        case "boolean":
            return str(value).lower()
    return str(value)
