"""Who am I, and whose key is this."""

from geumgo.access import key_ids
from geumgo.context import Context, Params
from geumgo.room import reads
from geumgo.services.sts.errors import ValidationError


@reads
def get_caller_identity(ctx: Context, params: Params) -> Params:  # noqa: ARG001
    """Everybody who is signed in may know who he is. Source: GetCallerIdentity, API reference."""
    return {"UserId": ctx.caller.unique_id, "Account": ctx.caller.account, "Arn": ctx.caller.arn}


@reads
def get_access_key_info(ctx: Context, params: Params) -> Params:  # noqa: ARG001
    """The account that a key id names. That tells nothing of whether there is such a key. Source: GetAccessKeyInfo, API reference.

    Unverified: the sentence.
    """
    account = key_ids.account_in(params["AccessKeyId"])
    if account is None:
        raise ValidationError("Invalid AccessKeyId")
    return {"Account": account}
