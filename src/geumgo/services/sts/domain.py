"""The room's pure rules: how long a session lasts, which tags it has, what fits into a token."""

import base64
import json
import re
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

ROLE_SESSION_S: Final = 3600  # seconds; DurationSeconds if it is not given. Source: AssumeRole, API reference
CHAINED_SESSION_S: Final = 3600  # Source: AssumeRole, API reference (role chaining)
TOKEN_SESSION_S: Final = 43_200  # Source: GetSessionToken and GetFederationToken, API reference
ROOT_SESSION_S: Final = 3600
PACKED_LIMIT_BYTES: Final = 2048
"""Unverified: AWS packs session policies and tags into a space whose size it does not publish."""

_ROLE_ARN: Final = re.compile(r"arn:[a-z-]+:iam::[0-9]{12}:role/[\x21-\x7e]+", re.ASCII)
_ARN: Final = re.compile(r"arn:[^:]+:[^:]+:[^:]*:[^:]*:.+")


class Contradiction(ValueError):
    """Tags that cannot be set together. The text is AWS's."""


def is_arn(text: str) -> bool:
    return _ARN.fullmatch(text) is not None


def is_role_arn(arn: str) -> bool:
    return _ROLE_ARN.fullmatch(arn) is not None


def account_of(arn: str) -> str:
    return arn.split(":")[4]


def duration_fault(asked_s: int, *, role_max_s: int, chained: bool) -> str | None:
    """What is wrong with a duration (seconds), in AWS's sentence, or None.

    Source: AssumeRole, API reference; the sentences as the CLI reports them.
    """
    if chained and asked_s > CHAINED_SESSION_S:
        return "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining."
    if asked_s > role_max_s:
        return "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
    return None


def session_tags(
    given: Mapping[str, str],
    given_keys: Sequence[str],
    transitive: Iterable[str],
    inherited: Mapping[str, str],
) -> tuple[dict[str, str], frozenset[str]]:
    """The tags of a new session, and the keys of those that travel on with it.

    `given` are the tags of the request (`given_keys` with twins still in it), `transitive` the keys that it marks, `inherited` the tags
    that travel on from the calling session.

    Raises Contradiction. Source of the sentences: recorded on AWS.
    """
    folded = [key.lower() for key in given_keys]
    if len(set(folded)) < len(folded):
        raise Contradiction("Duplicate tag keys found. Please note that Tag keys are case insensitive.")
    marked = frozenset(transitive)
    if not {key.lower() for key in marked} <= set(folded):
        raise Contradiction("The specified transitive tag key must be included in the requested tags.")
    if {key.lower() for key in inherited} & set(folded):
        raise Contradiction(
            "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the "
            "calling session."
        )
    travelling = frozenset(key for key in given if key.lower() in {name.lower() for name in marked})
    return {**inherited, **given}, travelling | frozenset(inherited)


def principal_tags(own: Mapping[str, str], session: Mapping[str, str]) -> dict[str, str]:
    """The tags of a session's principal: its own, where the session does not override them. Keys are not case sensitive.

    Source: "Pass session tags in AWS STS", IAM User Guide.
    """
    overridden = {key.lower() for key in session}
    return {key: value for key, value in own.items() if key.lower() not in overridden} | dict(session)


def pack(policy: str | None, policy_arns: Sequence[str], tags: Mapping[str, str]) -> bytes:
    """Session policies and tags as they travel in the token, as short as may be."""
    if policy is None and not policy_arns and not tags:
        return b""
    text = json.dumps([policy, list(policy_arns), dict(tags)], separators=(",", ":"), ensure_ascii=False)
    return zlib.compress(text.encode("utf-8", "surrogatepass"), 9)


def unpack(packed: bytes) -> tuple[str | None, tuple[str, ...], dict[str, str]]:
    """What was packed: policy, ARNs of policies, tags."""
    if not packed:
        return None, (), {}
    policy, arns, tags = json.loads(zlib.decompress(packed).decode("utf-8", "surrogatepass"))
    return policy, tuple(arns), tags


def packed_percent(packed: bytes) -> int:
    """How much of the space for session policies and tags is used, in whole percent, rounded up."""
    return -(-len(packed) * 100 // PACKED_LIMIT_BYTES)


def unread_claims(token: str) -> Mapping[str, Any] | None:
    """The header-less claims of a compact JWT, before anybody has checked its signature; None if it is no JWT."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(_base64url(parts[1]))
    except (ValueError, RecursionError):
        return None
    return claims if isinstance(claims, dict) else None


def _base64url(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
