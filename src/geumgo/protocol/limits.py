"""How much a request may ask of the decoder."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds on one request, all checked before or while it is read, none after.

    A signed caller may still be hostile, and an unsigned one may call AssumeRoleWithWebIdentity: no body may cost more
    than its own size. `nodes` counts JSON and CBOR values, and fields of a form.
    """

    size: int = 1024 * 1024  # bytes of the body
    depth: int = 32  # structures, lists and maps inside each other
    nodes: int = 1_000  # far above what any operation but Lambda's takes; raise it for one that needs more
    digits: int = 20  # of an integer: 2**64 has 20
    number: int = 100  # characters of a number with a fraction or an exponent


DEFAULT = Limits()
