"""GetSessionToken and GetFederationToken: temporary credentials of the caller's own user."""

from geumgo.context import Context, Params
from geumgo.room import operation, reads
from geumgo.services.sts import domain
from geumgo.services.sts.keyring import federated_arn
from geumgo.services.sts.policies import passed
from geumgo.services.sts.roles import wanted_tags
from geumgo.services.sts.tokens import Claims, Kind, checked_pack, issue


@operation
def get_session_token(ctx: Context, params: Params) -> Params:
    """The caller's own rights for a while, and with a second factor those that ask for it.

    Source: GetSessionToken, API reference.
    """
    return issue(ctx, _claims(ctx, params, "IAMUser", ctx.caller.name), b"", params)


@reads
def get_federation_token(ctx: Context, params: Params) -> Params:
    """A federated user, who may do what both the caller's policies and the session policies allow.

    Source: GetFederationToken, API reference.
    """
    policy, arns = passed(ctx, params, ctx.caller.account)
    tags, _ = wanted_tags(params, {})
    packed = checked_pack(policy, arns, tags)
    name = params["Name"]
    return {
        **issue(ctx, _claims(ctx, params, "FederatedUser", name), packed, params),
        "FederatedUser": {
            "FederatedUserId": f"{ctx.caller.account}:{name}",
            "Arn": federated_arn(ctx.place.partition, ctx.caller.account, name),
        },
        "PackedPolicySize": domain.packed_percent(packed),
    }


def _claims(ctx: Context, params: Params, kind: Kind, name: str) -> Claims:
    now_ms = ctx.clock.now_ms()
    return Claims(
        kind=kind,
        account=ctx.caller.account,
        issuer_id=ctx.caller.unique_id,
        name=name,
        issued_at_ms=now_ms,
        expires_at_ms=now_ms + 1000 * int(params.get("DurationSeconds", domain.TOKEN_SESSION_S)),
        mfa=("sts", "mfa") in ctx.found,
        through_key=ctx.caller.access_key_id,
    )
