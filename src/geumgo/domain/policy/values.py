"""How a value of a request is compared with a value of a policy, family by family: text, numbers, moments, addresses, ARNs, bytes.

Every function here takes what a policy says and gives a `Fits`: whether one value of a request fits. A value of a
request that cannot be read as the family demands fits nothing.
"""

import base64
import binascii
import ipaddress
import operator
import re
from collections.abc import Callable, Sequence
from datetime import date
from functools import lru_cache
from typing import Protocol

from geumgo.domain.policy.model import Context
from geumgo.domain.policy.variables import Part, Template, filled, fixed_tokens, is_fixed, template_of
from geumgo.domain.wildcard import Matcher, Token, matcher

Fits = Callable[[str, Context], bool]
Compare = Callable[[int | float, int | float], bool]


class Family(Protocol):
    """What makes a `Fits` of the values of a policy. Raises `UnreadableValue` or `UnreadableVariable`."""

    def __call__(self, texts: Sequence[str], /, *, variables: bool) -> Fits: ...


_NUMBER = re.compile(r"[+-]?\d{1,64}(\.\d{1,64})?([eE][+-]?\d{1,2})?", re.ASCII)
_EPOCH = re.compile(r"-?\d{1,19}", re.ASCII)
_MOMENT = re.compile(
    r"(?P<year>-?\d{1,9})(?:-(?P<month>\d{1,2})(?:-(?P<day>\d{1,2}))?)?"
    r"(?:T(?:(?P<hour>\d{1,2})(?::(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?:\.(?P<fraction>\d{1,9}))?)?)?)?"
    r"(?P<zone>Z|[+-]\d{2}(?::?\d{2})?)?)?",
    re.ASCII | re.IGNORECASE,
)
_CIDR = re.compile(r"[0-9A-Fa-f:.]{2,45}(/\d{1,3})?", re.ASCII)
_SECONDS_PER_YEAR = 31_556_952  # of the Gregorian calendar, on average: enough to order years that no clock will show


class UnreadableValue(ValueError):
    """A policy's value is not of the family that its operator compares."""


def text_fits(texts: Sequence[str], *, variables: bool) -> Fits:
    """StringEquals: the same text, case included."""
    return _text_fits(texts, variables=variables, fold=str)


def folded_text_fits(texts: Sequence[str], *, variables: bool) -> Fits:
    """StringEqualsIgnoreCase."""
    return _text_fits(texts, variables=variables, fold=str.lower)


def _text_fits(texts: Sequence[str], *, variables: bool, fold: Callable[[str], str]) -> Fits:
    templates = [template_of(text, wildcards=False, variables=variables) for text in texts]
    fixed = frozenset(fold(_plain(fixed_tokens(template))) for template in templates if is_fixed(template))
    varying = [template for template in templates if not is_fixed(template)]
    if not varying:
        return lambda value, _context: fold(value) in fixed

    def fits(value: str, context: Context) -> bool:
        asked = fold(value)
        if asked in fixed:
            return True
        for template in varying:
            tokens = filled(template, context)
            if tokens is not None and fold(_plain(tokens)) == asked:
                return True
        return False

    return fits


def _plain(tokens: Sequence[Token]) -> str:
    return "".join(token for token in tokens if isinstance(token, str))


def pattern_fits(patterns: Sequence[str], *, variables: bool) -> Fits:
    """StringLike: `*` and `?` are wildcards, case matters."""
    templates = [template_of(pattern, wildcards=True, variables=variables) for pattern in patterns]
    fixed = [matcher(fixed_tokens(template)) for template in templates if is_fixed(template)]
    varying = [template for template in templates if not is_fixed(template)]

    def fits(value: str, context: Context) -> bool:
        for whole in fixed:
            if whole(value):
                return True
        for template in varying:
            tokens = filled(template, context)
            if tokens is not None and matcher(tokens)(value):
                return True
        return False

    return fits


def arn_fits(patterns: Sequence[str], *, variables: bool) -> Fits:
    """ArnLike and ArnEquals, which are one: each of the six parts is matched by itself, so a wildcard never reaches over a colon.

    Only the sixth part of an ARN may hold colons. A pattern with fewer than six parts matches no ARN.

    Source: "IAM JSON policy elements: Condition operators", IAM user guide.
    """
    templates = [_six_parts(template_of(pattern, wildcards=True, variables=variables)) for pattern in patterns]
    whole = [template for template in templates if template is not None]
    fixed = [_part_matchers(parts, None) for parts in whole if all(map(is_fixed, parts))]
    varying = [parts for parts in whole if not all(map(is_fixed, parts))]

    def fits(value: str, context: Context) -> bool:
        asked = value.split(":", 5)
        if len(asked) != 6 or asked[0] != "arn":
            return False
        for matchers in fixed:
            if matchers is not None and _all_fit(matchers, asked):
                return True
        for parts in varying:
            matchers = _part_matchers(parts, context)
            if matchers is not None and _all_fit(matchers, asked):
                return True
        return False

    return fits


def _all_fit(matchers: Sequence[Matcher], parts: Sequence[str]) -> bool:
    """Whether each part fits its matcher; from the last one on, because it tells most."""
    for at in (5, 4, 3, 2, 1, 0):  # noqa: SIM110  (the hot path: a generator costs as much as a match)
        if not matchers[at](parts[at]):
            return False
    return True


def _six_parts(template: Template) -> list[Template] | None:
    """The template cut at the first five colons of its own text: never inside a variable, whose value must not add a part."""
    parts: list[list[Part]] = [[]]
    for part in template:
        if not isinstance(part, str):
            parts[-1].append(part)
            continue
        first, *others = part.split(":", 6 - len(parts))
        parts[-1].extend([first] if first else [])
        parts.extend([other] if other else [] for other in others)
    return [tuple(part) for part in parts] if len(parts) == 6 else None


def _part_matchers(parts: Sequence[Template], context: Context | None) -> list[Matcher] | None:
    matchers = []
    for part in parts:
        tokens = fixed_tokens(part) if context is None else filled(part, context)
        if tokens is None:
            return None
        matchers.append(matcher(tokens))
    return matchers


def number_fits(compare: Compare) -> Family:
    """The Numeric operators. Whole numbers are compared exactly, whatever their size."""
    return _comparing(read_number, compare)


def moment_fits(compare: Compare) -> Family:
    """The Date operators."""
    return _comparing(read_moment, compare)


def _comparing(read: Callable[[str], int | float | None], compare: Compare) -> Family:
    def family(texts: Sequence[str], *, variables: bool) -> Fits:  # noqa: ARG001  (every family has one signature)
        return _compared(texts, read, compare)

    return family


def _compared(texts: Sequence[str], read: Callable[[str], int | float | None], compare: Compare) -> Fits:
    limits = []
    for text in texts:
        limit = read(text)
        if limit is None:
            raise UnreadableValue(text)
        limits.append(limit)

    def fits(value: str, _context: Context) -> bool:
        asked = read(value)
        return asked is not None and any(compare(asked, limit) for limit in limits)

    return fits


def read_number(text: str) -> int | float | None:
    """An integer or decimal number, or None."""
    if not _NUMBER.fullmatch(text):
        return None
    return int(text) if text.lstrip("+-").isdigit() else float(text)


@lru_cache(maxsize=1024)
def read_moment(text: str) -> int | None:
    """Nanoseconds since 1970 of an ISO 8601 date (UTC where it names no zone) or of Unix seconds; None if `text` is neither.

    Digits alone are Unix seconds, but four digits are a year. Parts that are left out are the first: 2026 is 1 January,
    00:00.

    Source: condition operators, IAM user guide (W3C date formats and Unix time). Unverified: that four digits alone are
    a year.
    """
    if _EPOCH.fullmatch(text) and len(text) != 4:
        seconds = int(text)
        return seconds * 10**9 if -(2**63) <= seconds < 2**63 else None
    read = _MOMENT.fullmatch(text)
    if read is None:
        return None
    day = _days_since_1970(int(read["year"]), int(read["month"] or 1), int(read["day"] or 1))
    hour, minute, second = (int(read[part] or 0) for part in ("hour", "minute", "second"))
    zone = _zone_seconds(read["zone"] or "Z")
    if day is None or zone is None or hour > 23 or minute > 59 or second > 59:
        return None
    seconds = day * 86_400 + hour * 3_600 + minute * 60 + second - zone
    return seconds * 10**9 + int((read["fraction"] or "0").ljust(9, "0"))


def _days_since_1970(year: int, month: int, day: int) -> int | None:
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    if not 1 <= year <= 9999:
        return (year - 1970) * _SECONDS_PER_YEAR // 86_400 if -292_275_054 <= year <= 292_278_993 else None
    try:
        return date(year, month, day).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        return None


def _zone_seconds(zone: str) -> int | None:
    if zone in "Zz":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    if hours > 23 or minutes > 59:
        return None
    return (hours * 3_600 + minutes * 60) * (-1 if zone[0] == "-" else 1)


def truth_fits(texts: Sequence[str], *, variables: bool) -> Fits:
    """Bool: "true" or "false", in any case."""
    lowered = [text.lower() for text in texts]
    if any(text not in ("true", "false") and not (variables and "${" in text) for text in lowered):
        raise UnreadableValue
    return folded_text_fits(texts, variables=variables)


def bytes_fit(texts: Sequence[str], *, variables: bool) -> Fits:  # noqa: ARG001  (every family has one signature)
    """BinaryEquals: the same bytes, base64 on both sides."""
    wanted = []
    for text in texts:
        decoded = _decoded(text)
        if decoded is None:
            raise UnreadableValue(text)
        wanted.append(decoded)
    return lambda value, _context: _decoded(value) in wanted


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def address_fits(texts: Sequence[str], *, variables: bool) -> Fits:  # noqa: ARG001  (every family has one signature)
    """IpAddress: the address lies in one of the ranges. A range without a prefix length is one address."""
    ranges = []
    for text in texts:
        if not _CIDR.fullmatch(text):
            raise UnreadableValue(text)
        try:
            network = ipaddress.ip_network(text, strict=False)
        except ValueError as unreadable:
            raise UnreadableValue(text) from unreadable
        ranges.append((network.version, int(network.network_address), int(network.netmask)))

    def fits(value: str, _context: Context) -> bool:
        asked = read_address(value)
        if asked is None:
            return False
        version, number = asked
        return any(version == kind and number & mask == start for kind, start, mask in ranges)

    return fits


@lru_cache(maxsize=1024)
def read_address(text: str) -> tuple[int, int] | None:
    """The version and number of an IP address, or None. An IPv4 address mapped into IPv6 is the IPv4 address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    address = mapped or address
    return address.version, int(address)


EQUAL: Compare = operator.eq
LESS: Compare = operator.lt
AT_MOST: Compare = operator.le
MORE: Compare = operator.gt
AT_LEAST: Compare = operator.ge
