"""The canonical request by template, for requests of a usual form. What is not of one is left to the general verifier.

Clients send the same headers, in the same order, with the same ones signed, all day. What follows from names alone is found out once for
each form: that every header which decides what is executed is signed, and where each value stands in the canonical request. Of values it is
only accepted that they are printable ASCII without a doubled space: then there is nothing in them to normalise.
"""

import hmac
import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from geumgo.message import Request

MEANT: Final = frozenset(
    {b"host", b"date", b"content-type", b"content-encoding", b"smithy-protocol"}
)  # and every x-amz-*: headers that decide what is executed
FORMS: Final = 1024

_PLAIN = re.compile(rb"(?:[!-~]+(?: [!-~]+)*\n)+")


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """`checked` are the headers whose values must be plain, `signed` those that the template takes. The body's hash stands behind it."""

    template: bytes
    signed: tuple[bytes, ...]
    checked: tuple[bytes, ...]


def is_meant(name: bytes) -> bool:
    """Whether a header decides what is executed."""
    return name in MEANT or name.startswith(b"x-amz-")


def usual_canonical_request(request: Request, signed: tuple[str, ...]) -> bytes | None:
    """The canonical request, if `request` is of a usual form and its body is the one that it says. None: look more closely."""
    first = request.first_values
    if request.target != b"/" or request.has_twins:
        return None
    form = _form(request.method, tuple(first), signed)
    if form is None:
        return None
    front = _front(form, tuple([first[name] for name in form.checked]))
    if front is None:
        return None
    body_sha256 = request.body_sha256().encode()
    stated = first.get(b"x-amz-content-sha256")
    if stated is not None and not hmac.compare_digest(stated, body_sha256):
        return None
    return front + body_sha256


@lru_cache(maxsize=FORMS)
def _front(form: Form, values: tuple[bytes, ...]) -> bytes | None:
    """The canonical request up to the body's hash; None if a value is not plain. What one client sends in one second has it in common."""
    said = b"\n".join(values) + b"\n"
    if not _PLAIN.fullmatch(said) or said.count(b"\n") != len(values):
        return None
    named = dict(zip(form.checked, values, strict=True))
    return form.template % (*[named[name] for name in form.signed],)


@lru_cache(maxsize=FORMS)
def _form(method: str, names: tuple[bytes, ...], signed: tuple[str, ...]) -> Form | None:
    """The form of requests for `/` with headers of these names, each once; None if something is not covered."""
    covered = tuple(name.encode("latin-1") for name in signed)
    meant = {name for name in names if is_meant(name)}
    uncovered = meant - set(covered)
    if b"x-amz-date" in meant:
        uncovered.discard(b"date")
    if uncovered or b"host" not in covered or not set(covered) <= set(names):
        return None
    shown = [name.replace(b"%", b"%%") for name in covered]
    lines = b"".join([name + b":%b\n" for name in shown])
    template = method.encode("latin-1").replace(b"%", b"%%") + b"\n/\n\n" + lines + b"\n" + b";".join(shown) + b"\n"
    return Form(template, covered, tuple(meant.union(covered)))
