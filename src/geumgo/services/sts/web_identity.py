"""AssumeRoleWithWebIdentity: a token of an OpenID Connect provider in place of a signature."""

from geumgo.context import Context, Params
from geumgo.room import reads
from geumgo.services.sts.policies import passed
from geumgo.services.sts.roles import answer, lasting
from geumgo.services.sts.tokens import Claims, checked_pack
from geumgo.services.sts.web_tokens import WebToken


@reads
def assume_role_with_web_identity(ctx: Context, params: Params) -> Params:
    """A session of the role. The token was verified, and the role's trust policy asked, before this.

    Source: AssumeRoleWithWebIdentity, API reference.
    """
    token = ctx.found["sts", "web token"]
    assert isinstance(token, WebToken), "the token was not verified"
    role = ctx.principals.role(ctx.tx, params["RoleArn"])
    assert role is not None, "the trust policy of a role that does not exist let somebody in"
    policy, arns = passed(ctx, params, role.account)
    now_ms = ctx.clock.now_ms()
    claims = Claims(
        kind="AssumedRole",
        account=role.account,
        issuer_id=role.id,
        name=params["RoleSessionName"],
        issued_at_ms=now_ms,
        expires_at_ms=now_ms + 1000 * lasting(params, role, chained=False),
        provider=token.provider_arn,
    )
    return {
        **answer(ctx, params, role, claims, checked_pack(policy, arns, {})),
        "SubjectFromWebIdentityToken": token.subject,
        "Provider": token.provider_arn,
        "Audience": token.audience,
    }
