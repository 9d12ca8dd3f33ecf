"""Unique ids and secrets of keys, in AWS's form."""

from geumgo.sealing import random

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

USER, GROUP, ROLE, POLICY, INSTANCE_PROFILE = "AIDA", "AGPA", "AROA", "ANPA", "AIPA"


def unique_id(prefix: str) -> str:
    """A new unique id of 21 characters. Source: unique identifiers, IAM User Guide ("AIDAJQABLZS4A3QDU576Q")."""
    return prefix + "".join(random.choice(ALPHABET) for _ in range(17))


def secret_access_key() -> bytes:
    """A new secret of 40 characters, 238 bits."""
    return random.letters(40).encode()
