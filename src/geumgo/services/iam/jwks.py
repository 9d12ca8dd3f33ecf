"""Pinned JSON Web Key Sets. Pure.

A key set is public, but whoever changes it decides whose tokens are believed: it is kept in a row with a MAC.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any, Final

TAG: Final = "geumgo:jwks"
LIMIT_CHARACTERS: Final = 32_768
KINDS: Final = frozenset({"RSA", "EC", "OKP"})
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def from_tags(tags: Mapping[str, str]) -> str | None:
    """The key set in the tags `geumgo:jwks`, `geumgo:jwks:1` ... (base64url), None if there is no such tag.

    Raises ValueError if it is none.
    """
    parts = [tags[TAG]] if TAG in tags else []
    number = 1
    while f"{TAG}:{number}" in tags:
        parts.append(tags[f"{TAG}:{number}"])
        number += 1
    if not parts:
        return None
    text = "".join(parts).rstrip("=")
    try:
        decoded = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("it is not base64url") from None
    return checked(decoded.decode("utf-8", "strict"))


def checked(text: str) -> str:
    """The key set in its shortest form. Raises ValueError unless it is a JWKS of public, asymmetric keys."""
    if len(text) > LIMIT_CHARACTERS:
        raise ValueError(f"it is longer than {LIMIT_CHARACTERS} characters")
    try:
        tree: Any = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    keys = tree.get("keys") if isinstance(tree, dict) else None
    if not isinstance(keys, list) or not keys:
        raise ValueError("it has no keys")
    for key in keys:
        if not isinstance(key, dict) or key.get("kty") not in KINDS:
            raise ValueError("one of its keys is not RSA, EC or OKP")
        if _PRIVATE & key.keys():
            raise ValueError("one of its keys is private")
    return json.dumps({"keys": keys}, separators=(",", ":"))
