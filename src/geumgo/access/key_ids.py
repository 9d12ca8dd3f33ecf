"""Access key ids, in AWS's form. They are names, not secrets."""

import base64
import binascii
import os

LONG_TERM, TEMPORARY = "AKIA", "ASIA"

_ACCOUNT_MASK = 0x7FFFFFFFFF80


def new(prefix: str, account: str) -> str:
    """A new access key id of 20 characters: AKIA (long-term) or ASIA (temporary), then account and 39 random bits in base 32.

    Unverified: the place of the account inside the id, which public decoders of AWS's key ids agree on.
    """
    head = 1 << 47 | int(account) << 7 | os.urandom(1)[0] & 0x7F
    return prefix + base64.b32encode(head.to_bytes(6, "big") + os.urandom(4)).decode()


def account_in(key_id: str) -> str | None:
    """The account that an id of ours (or a newer one of AWS's) names, None if it is no such id."""
    if len(key_id) != 20:
        return None
    try:
        head = int.from_bytes(base64.b32decode(key_id[4:])[:6], "big")
    except binascii.Error:
        return None
    account = f"{(head & _ACCOUNT_MASK) >> 7:012}"
    return account if len(account) == 12 else None
