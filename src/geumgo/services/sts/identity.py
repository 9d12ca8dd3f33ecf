"""Who am I, whose key is this, and why was I denied."""

from geumgo.access import authorization_message, key_ids
from geumgo.context import Context, Params
from geumgo.room import reads
from geumgo.services.sts.errors import InvalidAuthorizationMessage, ValidationError


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


@reads
def decode_authorization_message(ctx: Context, params: Params) -> Params:
    """What a denial in the caller's account did not say. Source: DecodeAuthorizationMessage, API reference.

    Unverified: the sentence.
    """
    message, account, now_ms = params["EncodedMessage"], ctx.caller.account, ctx.clock.now_ms()
    try:
        return {"DecodedMessage": authorization_message.opened(ctx.sealing, message, account, now_ms)}
    except authorization_message.NoMessage:
        raise InvalidAuthorizationMessage("Encoded message is invalid or expired.") from None
