"""Session policies: what is passed, checked and packed."""

import re
from typing import Final

from geumgo.context import Context, Params
from geumgo.domain.policy import MalformedPolicy, PolicyKind, compile_policy
from geumgo.services.sts import domain
from geumgo.services.sts.errors import MalformedPolicyDocument, PackedPolicyTooLarge, ValidationError

LONGEST_READ: Final = 65_536  # characters; a longer policy is refused unread, for it could not be packed either
_PATTERN: Final = r"[\u0009\u000A\u000D\u0020-\u00FF]+"
_CHARACTERS: Final = re.compile(r"[\t\n\r\x20-\xff]+")


def passed(ctx: Context, params: Params, account: str) -> tuple[str | None, list[str]]:
    """The session policy of the request and the ARNs of managed ones, each found to be one.

    Raises MalformedPolicyDocument, PackedPolicyTooLarge, ValidationError. Unverified: the sentence about an ARN that names no policy.
    """
    policy = params.get("Policy")
    if policy is not None:
        _check_characters(policy)
        try:
            compile_policy(policy, PolicyKind.SESSION)
        except MalformedPolicy as refusal:
            raise MalformedPolicyDocument(refusal.message) from None
    arns = [descriptor.get("arn", "") for descriptor in params.get("PolicyArns", [])]
    for arn in arns:
        if ctx.principals.managed_policy(ctx.tx, account, arn) is None:
            raise ValidationError(f"{arn} is invalid")
    return policy, arns


def _check_characters(policy: str) -> None:
    """What the model says of the characters of a policy; its length has no bound there, so that the codec leaves it to us."""
    if len(policy) > LONGEST_READ:
        percent = len(policy) * 100 // domain.PACKED_LIMIT_BYTES
        raise PackedPolicyTooLarge(f"Packed policy consumes {percent}% of allotted space, please use smaller policy.")
    if not _CHARACTERS.fullmatch(policy):
        raise ValidationError(
            "1 validation error detected: Value at 'policy' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {_PATTERN}"
        )
