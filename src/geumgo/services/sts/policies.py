"""Session policies: what is passed, checked and packed."""

from geumgo.context import Context, Params
from geumgo.domain.policy import MalformedPolicy, PolicyKind, compile_policy
from geumgo.services.sts.errors import MalformedPolicyDocument, ValidationError


def passed(ctx: Context, params: Params, account: str) -> tuple[str | None, list[str]]:
    """The session policy of the request and the ARNs of managed ones, each found to be one.

    Raises MalformedPolicyDocument, ValidationError. Unverified: the sentence about an ARN that names no policy.
    """
    policy = params.get("Policy")
    if policy is not None:
        try:
            compile_policy(policy, PolicyKind.SESSION)
        except MalformedPolicy as refusal:
            raise MalformedPolicyDocument(refusal.message) from None
    arns = [descriptor.get("arn", "") for descriptor in params.get("PolicyArns", [])]
    for arn in arns:
        if ctx.principals.managed_policy(ctx.tx, account, arn) is None:
            raise ValidationError(f"{arn} is invalid")
    return policy, arns
