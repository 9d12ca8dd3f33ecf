"""Time-based one-time passwords. Pure.

Source: RFC 6238 with SHA-1, 30 seconds and six digits, which is what authenticator apps assume of AWS's devices.
"""

import hmac
from typing import Final

STEP_MS: Final = 30_000
DIGITS: Final = 6
SEED_BYTES: Final = 40  # 64 characters of base 32, as AWS's seeds have
WINDOW: Final = 1  # steps that a device's clock may be off, to each side


def step_of(at_ms: int) -> int:
    return at_ms // STEP_MS


def code(seed: bytes, step: int) -> str:
    """The six digits of `step`. Source: RFC 4226, section 5.3."""
    digest = hmac.digest(seed, step.to_bytes(8, "big"), "sha1")
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFF_FFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def matching_step(seed: bytes, given: str, now_ms: int, *, after: int, window: int = WINDOW) -> int | None:
    """The step later than `after` and near now whose code was given, or None. Every step near now is compared, in constant time."""
    found = None
    for step in range(step_of(now_ms) - window, step_of(now_ms) + window + 1):
        equal = hmac.compare_digest(code(seed, step).encode(), given.encode())
        if equal and step > after and found is None:
            found = step
    return found


def matching_pair(seed: bytes, first: str, second: str, now_ms: int, *, after: int, window: int = 10) -> int | None:
    """The step of the second of two codes that follow each other, or None. A wider window: this is how a device is synchronised."""
    for step in range(step_of(now_ms) - window, step_of(now_ms) + window + 1):
        one = hmac.compare_digest(code(seed, step - 1).encode(), first.encode())
        two = hmac.compare_digest(code(seed, step).encode(), second.encode())
        if one and two and step > after:
            return step
    return None
