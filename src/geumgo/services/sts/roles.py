"""AssumeRole: from one identity to another. Nothing is kept but that an MFA code is used up: the session is its token."""

from geumgo.context import Context, Params
from geumgo.principals import RoleFacts
from geumgo.room import operation
from geumgo.services.sts import domain
from geumgo.services.sts.errors import Denied, InvalidParameterValue, ValidationError
from geumgo.services.sts.keyring import session_arn
from geumgo.services.sts.policies import passed
from geumgo.services.sts.tokens import Claims, checked_pack, issue


@operation
def assume_role(ctx: Context, params: Params) -> Params:
    """A session of the role. That the caller may have it was decided before: by the role's trust policy, and his own.

    Source: AssumeRole, API reference.
    """
    role = ctx.principals.role(ctx.tx, params["RoleArn"])
    assert role is not None, "the gate let somebody assume a role that does not exist"
    session = ctx.caller.session
    chained = ctx.caller.kind == "AssumedRole"
    inherited = (
        {key: value for key, value in ctx.caller.tags.items() if key in session.transitive_tags}
        if session is not None
        else {}
    )
    tags, transitive = wanted_tags(params, inherited)
    policy, arns = passed(ctx, params, role.account)
    claims = Claims(
        kind="AssumedRole",
        account=role.account,
        issuer_id=role.id,
        name=params["RoleSessionName"],
        issued_at_ms=ctx.clock.now_ms(),
        expires_at_ms=ctx.clock.now_ms() + 1000 * lasting(params, role, chained=chained),
        transitive=tuple(sorted(transitive)),
        source_identity=source_identity(ctx, params),
        mfa=("sts", "mfa") in ctx.found,
    )
    return answer(ctx, params, role, claims, checked_pack(policy, arns, tags))


def answer(ctx: Context, params: Params, role: RoleFacts, claims: Claims, packed: bytes) -> Params:
    """A session of `role` as STS answers it; the role's date of use is left behind."""
    issued = issue(ctx, claims, packed, params)
    mark = ctx.principals.mark_of_use(ctx.tx, role.id, ctx.place.region, ctx.clock.now_ms())
    if mark is not None:
        ctx.behind(mark)
    found: Params = {
        **issued,
        "AssumedRoleUser": {
            "AssumedRoleId": f"{role.id}:{claims.name}",
            "Arn": session_arn(ctx.place.partition, role.account, role.name, claims.name),
        },
    }
    if packed:
        found["PackedPolicySize"] = domain.packed_percent(packed)
    if claims.source_identity is not None:
        found["SourceIdentity"] = claims.source_identity
    return found


def lasting(params: Params, role: RoleFacts, *, chained: bool) -> int:
    """How long the session lasts, in seconds. Raises ValidationError."""
    asked_s = int(params.get("DurationSeconds", domain.ROLE_SESSION_S))
    fault = domain.duration_fault(asked_s, role_max_s=role.max_session_s, chained=chained)
    if fault is not None:
        raise ValidationError(fault)
    return asked_s


def wanted_tags(params: Params, inherited: dict[str, str]) -> tuple[dict[str, str], frozenset[str]]:
    """The new session's tags, and which of them travel on. Raises InvalidParameterValue."""
    given = params.get("Tags", [])
    keys = [tag["Key"] for tag in given]
    values = {tag["Key"]: tag["Value"] for tag in given}
    try:
        return domain.session_tags(values, keys, params.get("TransitiveTagKeys", []), inherited)
    except domain.Contradiction as fault:
        raise InvalidParameterValue(str(fault)) from None


def source_identity(ctx: Context, params: Params) -> str | None:
    """Whose work this is. Once set it stays through every session that follows.

    Raises Denied when the request would change it. Source: "Monitor and control actions taken with assumed roles", IAM User Guide.
    Unverified: the sentence.
    """
    session = ctx.caller.session
    before = session.source_identity if session is not None else None
    asked = params.get("SourceIdentity")
    if before is not None and asked not in {None, before}:
        raise Denied("The source identity of the calling session cannot be changed.")
    return before if before is not None else asked
