"""Unique ids and access key ids, in AWS's form."""

import base64
import os

from geumgo.sealing import random

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"

USER, GROUP, ROLE, POLICY, INSTANCE_PROFILE = "AIDA", "AGPA", "AROA", "ANPA", "AIPA"


def unique_id(prefix: str) -> str:
    """A new unique id of 21 characters. Source: unique identifiers, IAM User Guide ("AIDAJQABLZS4A3QDU576Q")."""
    return prefix + "".join(random.choice(ALPHABET) for _ in range(17))


def access_key_id(prefix: str, account: str) -> str:
    """A new access key id of 20 characters: AKIA (long-term) or ASIA (temporary), the account and 39 random bits in base 32.

    Unverified: the place of the account inside the id, which the public decoders of key ids agree on.
    """
    head = 1 << 47 | int(account) << 7 | os.urandom(1)[0] & 0x7F
    return prefix + base64.b32encode(head.to_bytes(6, "big") + os.urandom(4)).decode()


def secret_access_key() -> bytes:
    """A new secret of 40 characters, 238 bits."""
    return random.letters(40).encode()
