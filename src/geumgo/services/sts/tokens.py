"""Session tokens: everything that is known of temporary credentials, sealed into the token itself. No row is kept per session.

What a session may do is decided anew with every request, from the rows of the role or user behind it. So a token dies with its role or
user, with the access key that it was got with, and with every session older than its principal's `not_before_ms`.
"""

import base64
import binascii
import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Final, Literal

from geumgo.access import key_ids
from geumgo.context import Context, Params, as_datetime
from geumgo.sealing import Plaintext, Sealing, Unsealable, random
from geumgo.services.sts import domain, time_line
from geumgo.services.sts.errors import PackedPolicyTooLarge

Kind = Literal["AssumedRole", "IAMUser", "FederatedUser"]

TOKEN_LIMIT_CHARACTERS: Final = 4096


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says. Times are Unix milliseconds. `through_key` is the long-term key it was got with, if it was."""

    kind: Kind
    account: str
    issuer_id: str  # unique id of the role or user
    name: str  # of the session
    issued_at_ms: int
    expires_at_ms: int
    transitive: tuple[str, ...] = ()
    source_identity: str | None = None
    provider: str | None = None
    mfa: bool = False
    through_key: str = ""
    through_password: str = ""  # the mark of the password that was shown, for sessions of the console
    time_line: int = 0  # see time_line


def issue(ctx: Context, claims: Claims, packed: bytes, params: Params) -> Params:
    """New temporary credentials with these claims, as STS answers them. This answer is the only place where the secret is seen.

    The token has at least `MinimumSessionTokenSize` characters, so that clients can be tried with long ones. Source: botocore model;
    SessionTokenUtilization, API reference. Unverified: that the longest is 4,096.
    """
    key_id = key_ids.new(key_ids.TEMPORARY, claims.account)
    secret = random.letters(40)
    claims = replace(claims, time_line=time_line.current(ctx.tx, ctx.sealing))
    head = json.dumps({**asdict(claims), "secret": secret}).encode()
    token = _sealed(ctx.sealing, key_id, head, packed)
    least = int(params.get("MinimumSessionTokenSize", 0))
    if len(token) < least:
        token = _sealed(ctx.sealing, key_id, head + b" " * (least - len(token)), packed)
    return {
        "Credentials": {
            "AccessKeyId": key_id,
            "SecretAccessKey": secret,
            "SessionToken": token,
            "Expiration": as_datetime(claims.expires_at_ms),
        },
        "SessionTokenSize": len(token),
        "SessionTokenUtilization": min(100, -(-len(token) * 100 // TOKEN_LIMIT_CHARACTERS)),
    }


def read(sealing: Sealing, access_key_id: str, session_token: str) -> tuple[Claims, bytes, Plaintext] | None:
    """Claims, packed policies and secret of a token that was issued with this key id; None if it was not."""
    try:
        opened = sealing.open_token(base64.b64decode(session_token, validate=True), _context(access_key_id)).reveal()
    except (Unsealable, binascii.Error, ValueError):
        return None
    (length,) = struct.unpack_from(">I", opened)
    head = json.loads(opened[4 : 4 + length])
    secret = Plaintext(head.pop("secret").encode())
    head["transitive"] = tuple(head["transitive"])
    return Claims(**head), opened[4 + length :], secret


def checked_pack(policy: str | None, policy_arns: list[str], tags: Mapping[str, str]) -> bytes:
    """Session policies and tags, packed. Raises PackedPolicyTooLarge; the sentences as the CLI reports them."""
    packed = domain.pack(policy, policy_arns, tags)
    percent = domain.packed_percent(packed)
    if percent > 100:
        if policy is None and not policy_arns:
            raise PackedPolicyTooLarge(f"Packed size of session tags consumes {percent}% of allotted space.")
        raise PackedPolicyTooLarge(f"Packed policy consumes {percent}% of allotted space, please use smaller policy.")
    return packed


def _sealed(sealing: Sealing, key_id: str, head: bytes, packed: bytes) -> str:
    sealed = sealing.seal_token(struct.pack(">I", len(head)) + head + packed, _context(key_id))
    return base64.b64encode(sealed).decode()


def _context(access_key_id: str) -> dict[str, str]:
    return {"label": "session token", "key": access_key_id}
