"""The canonical request of Signature Version 4, over raw bytes. Pure.

Source: "Create a signed AWS API request", IAM User Guide. Percent-encoding leaves A-Z a-z 0-9 - . _ ~ alone and writes
hex digits in upper case.
"""

import re
from collections.abc import Sequence
from urllib.parse import quote_from_bytes, unquote_to_bytes

EMPTY_SHA256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SINGLE_ENCODED = frozenset({"s3"})
"""Signing names whose path is not encoded a second time and not normalised."""

_BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")

Pair = tuple[bytes, bytes]


def pairs_of(query: bytes) -> list[Pair]:
    """The names and values of a raw query, decoded, in order. A name without `=` has an empty value. No empty parts."""
    if not query:
        return []
    return [
        (unquote_to_bytes(name), unquote_to_bytes(value))
        for name, _, value in (part.partition(b"=") for part in query.split(b"&") if part)
    ]


def is_ambiguous(path: bytes, query: bytes) -> bool:
    """Whether another reader could take this target for something else than what its signature covers.

    That is: a path that normalisation would change, and a query with empty parts, with broken escapes, or with a plus
    sign, which some readers take for a space.
    """
    if not path.startswith(b"/") or normalised(path) != path or b"#" in path or b"#" in query:
        return True
    if _BROKEN_ESCAPE.search(path) or _BROKEN_ESCAPE.search(query) or b"+" in query:
        return True
    return bool(query) and b"" in query.split(b"&")


def canonical_request(
    *,
    method: str,
    path: bytes,
    pairs: Sequence[Pair],
    headers: Sequence[Pair],
    signed: Sequence[str],
    body_sha256: str,
    service: str,
) -> bytes:
    """The canonical request. `path` is raw, `pairs` are decoded, names of headers are lower case."""
    return b"\n".join(
        (
            method.encode("latin-1"),
            canonical_path(path, service),
            canonical_query(pairs),
            canonical_headers(headers, signed),
            ";".join(signed).encode("latin-1"),
            body_sha256.encode("ascii"),
        )
    )


def canonical_path(path: bytes, service: str) -> bytes:
    """The path as it is signed: normalised, then each byte of its raw form encoded once more (a % becomes %25).

    Source: the same guide. Services other than S3 encode twice; S3 takes the path as it is sent.
    """
    if path == b"/":
        return path
    if service in SINGLE_ENCODED:
        return quote_from_bytes(unquote_to_bytes(path), safe="/-._~").encode() or b"/"
    return quote_from_bytes(normalised(path), safe="/-._~").encode()


def normalised(path: bytes) -> bytes:
    """`path` without empty, `.` and `..` segments. A slash at its end stays; an empty path is `/`."""
    kept: list[bytes] = []
    segments = path.split(b"/")
    for segment in segments:
        if segment == b"..":
            if kept:
                kept.pop()
        elif segment not in (b"", b"."):
            kept.append(segment)
    closed = b"/" if kept and segments[-1] in (b"", b".", b"..") else b""
    return b"/" + b"/".join(kept) + closed


def canonical_query(pairs: Sequence[Pair]) -> bytes:
    """Names and values encoded, sorted by encoded name, then by encoded value."""
    if not pairs:
        return b""
    encoded = sorted(
        (quote_from_bytes(name, safe="-._~"), quote_from_bytes(value, safe="-._~")) for name, value in pairs
    )
    return "&".join(f"{name}={value}" for name, value in encoded).encode()


def canonical_headers(headers: Sequence[Pair], signed: Sequence[str]) -> bytes:
    """One line for each signed header, with a newline after the last. Twins are joined by commas, in their order."""
    names = [name.encode("latin-1") for name in signed]
    found = dict.fromkeys(names, b"")
    twice = set()
    for name, value in headers:
        if name in found:
            found[name] = found[name] + b"," + collapsed(value) if name in twice else collapsed(value)
            twice.add(name)
    return b"".join([b"%b:%b\n" % line for line in found.items()])


def collapsed(value: bytes) -> bytes:
    """A header's value without white space around it, and with one space wherever there was white space in it."""
    return b" ".join(value.split())
