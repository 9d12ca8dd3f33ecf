"""What each operation needs. The trail keeps neither credentials nor tokens.

Source: "Actions, resources, and condition keys for AWS Security Token Service", Service Authorization Reference.
"""

from geumgo.access.demand import Demand, Demands, Target
from geumgo.audit.record import web_identity
from geumgo.context import Context, Params, Proven
from geumgo.domain.policy import Asked, PolicyKind, PolicyPrincipal, Standing, compile_policy, decide
from geumgo.domain.policy import Context as Circumstances
from geumgo.principals import RoleFacts
from geumgo.room import Access
from geumgo.services.sts import domain
from geumgo.services.sts.errors import Denied, InvalidParameterValue, ValidationError
from geumgo.services.sts.keyring import federated_arn
from geumgo.services.sts.web_tokens import verified

_WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"
_TRUSTS_NOBODY = compile_policy(
    '{"Version":"2012-10-17","Statement":{"Effect":"Allow","Principal":{"Federated":"arn:aws:iam::000000000000:saml-provider/nobody"},'
    '"Action":"sts:AssumeRoleWithSAML"}}',
    PolicyKind.TRUST,
)


def _nothing(ctx: Context, params: Params) -> Demands:  # noqa: ARG001
    """Everybody who is signed in may. Source: GetCallerIdentity, API reference ("No permissions are required")."""
    return ()


def _assume_role(ctx: Context, params: Params) -> Demands:
    """The role's trust policy and the caller's own must agree. A role that is not there is denied like one that does not trust.

    Raises:
        ValidationError: the ARN is none. Source of the sentence: recorded on AWS.
        Denied: the caller is of a kind that assumes no roles. Source: AssumeRole and GetFederationToken, API reference.
    """
    arn = params["RoleArn"]
    if not domain.is_arn(arn):
        raise ValidationError(f"{arn} is invalid")
    if ctx.caller.kind == "Root":
        raise Denied("Roles may not be assumed by root accounts.")
    _refuse_federated(ctx, "AssumeRole")
    role = ctx.principals.role(ctx.tx, arn)
    target = _role_target(arn, role)
    session = ctx.caller.session
    keys = _tag_keys(params) | {"sts:RoleSessionName": (params["RoleSessionName"],)}
    if "ExternalId" in params:
        keys["sts:ExternalId"] = (params["ExternalId"],)
    if _second_factor(ctx, params):
        keys["aws:MultiFactorAuthPresent"] = ("true",)
        keys["aws:MultiFactorAuthAge"] = ("0",)
    identity = params.get("SourceIdentity") or (session.source_identity if session is not None else None)
    if identity is not None:
        keys["sts:SourceIdentity"] = (identity,)
    actions = ["sts:AssumeRole"]
    if params.get("Tags") or params.get("TransitiveTagKeys") or (session is not None and session.transitive_tags):
        actions.append("sts:TagSession")
    if identity is not None:
        actions.append("sts:SetSourceIdentity")
    return [Demand(action, target, keys) for action in actions]


def _web_identity(ctx: Context, params: Params) -> Demands:
    """The proof is in the request: the token is verified and the trust policy asked here, because nobody has signed anything.

    Raises InvalidIdentityToken, WebTokenExpired, ValidationError; Denied in the sentence that AWS has for this case alone.
    """
    arn = params["RoleArn"]
    if not domain.is_role_arn(arn):
        raise ValidationError(f"{arn} is invalid")
    if "ProviderId" in params:
        raise InvalidParameterValue("ProviderId is for OAuth 2.0 access tokens, which are not accepted.")
    account = domain.account_of(arn)
    token = verified(ctx, params["WebIdentityToken"], account)
    ctx.proven = Proven(web_identity(token.provider_arn, token.audience, token.subject), account)
    role = ctx.principals.role(ctx.tx, arn)
    keys = {
        **ctx.conditions,
        **token.keys,
        "sts:RoleSessionName": (params["RoleSessionName"],),
        "aws:FederatedProvider": (token.provider_arn,),
        "aws:ResourceAccount": (account,),
        **{f"aws:ResourceTag/{key}": (value,) for key, value in (role.tags if role is not None else {}).items()},
    }
    who = PolicyPrincipal("WebIdentity", "", token.provider_arn, token.subject, federated=token.provider_arn)
    standing = Standing(resource=role.trust if role is not None else None, resource_rule="required")
    if not decide(Asked(who, _WEB_IDENTITY, arn, account, Circumstances(keys)), standing).allowed:
        raise Denied(f"Not authorized to perform {_WEB_IDENTITY}")
    ctx.found["sts", "web token"] = token
    return ()


def _session_token(ctx: Context, params: Params) -> Demands:
    """No permission, but a long-term key. Source: GetSessionToken, API reference."""
    _refuse_sessions(ctx, "GetSessionToken")
    _second_factor(ctx, params)
    return ()


def _second_factor(ctx: Context, params: Params) -> bool:
    """Whether the caller proves himself by a code of his MFA device. The code is good once.

    Raises Denied for a code that is not the device's, a device that is not his, and for half of the two.
    Source of the sentence: as the CLI reports it.
    """
    if "SerialNumber" not in params and "TokenCode" not in params:
        return False
    serial, code = params.get("SerialNumber", ""), params.get("TokenCode", "")
    user = ctx.caller.unique_id if ctx.caller.kind == "IAMUser" and ctx.caller.session is None else ""
    if not ctx.principals.take_code(ctx.tx, user, serial, code, ctx.clock.now_ms()):
        raise Denied("MultiFactorAuthentication failed with invalid MFA one time pass code.")
    ctx.found["sts", "mfa"] = True
    return True


def _federation_token(ctx: Context, params: Params) -> Demands:
    _refuse_sessions(ctx, "GetFederationToken")
    arn = federated_arn(ctx.place.partition, ctx.caller.account, params["Name"])
    target = Target(arn, arn, ctx.caller.account)
    keys = _tag_keys(params)
    found = [Demand("sts:GetFederationToken", target, keys)]
    return found + ([Demand("sts:TagSession", target, keys)] if params.get("Tags") else [])


def _key_info(ctx: Context, params: Params) -> Demands:  # noqa: ARG001
    _refuse_federated(ctx, "GetAccessKeyInfo")
    _refuse_token_sessions(ctx, "GetAccessKeyInfo")
    return [Demand("sts:GetAccessKeyInfo", Target("*", "*", ctx.caller.account))]


def _refuse_sessions(ctx: Context, operation: str) -> None:
    """Raises Denied unless the caller is a user with his own key. Source of the sentence: as the CLI reports it."""
    if ctx.caller.session is not None or ctx.caller.kind != "IAMUser":
        raise Denied(f"Cannot call {operation} with session credentials")


def _refuse_federated(ctx: Context, operation: str) -> None:
    """Source: GetFederationToken, API reference ("cannot call any AWS STS API operations except GetCallerIdentity")."""
    if ctx.caller.kind == "FederatedUser":
        raise Denied(f"Cannot call {operation} with federated user credentials")


def _refuse_token_sessions(ctx: Context, operation: str) -> None:
    """Source: GetSessionToken, API reference ("except AssumeRole or GetCallerIdentity"). Unverified: the sentence."""
    session = ctx.caller.session
    if session is not None and ctx.caller.kind == "IAMUser" and not session.password:
        raise Denied(f"Cannot call {operation} with session credentials")


def _decode(ctx: Context, params: Params) -> Demands:  # noqa: ARG001
    _refuse_federated(ctx, "DecodeAuthorizationMessage")
    _refuse_token_sessions(ctx, "DecodeAuthorizationMessage")
    return [Demand("sts:DecodeAuthorizationMessage")]


def _role_target(arn: str, role: RoleFacts | None) -> Target:
    """The role with its trust policy. One that is not there trusts nobody, so that a denial does not tell which of the two it is."""
    trust = role.trust if role is not None else _TRUSTS_NOBODY
    tags = role.tags if role is not None else {}
    return Target(arn, arn, domain.account_of(arn), policy=trust, rule="required", tags=tags)


def _tag_keys(params: Params) -> dict[str, tuple[str, ...]]:
    given = params.get("Tags", [])
    keys: dict[str, tuple[str, ...]] = {f"aws:RequestTag/{tag['Key']}": (tag["Value"],) for tag in given}
    if given:
        keys["aws:TagKeys"] = tuple(tag["Key"] for tag in given)
    if params.get("TransitiveTagKeys"):
        keys["sts:TransitiveTagKeys"] = tuple(params["TransitiveTagKeys"])
    return keys


_SESSION = ("RoleArn", "RoleSessionName", "DurationSeconds", "PolicyArns", "Policy", "SourceIdentity")
_MADE = ("AssumedRoleUser", "PackedPolicySize", "SourceIdentity")

ACCESS = {
    "GetCallerIdentity": Access(_nothing),
    "GetAccessKeyInfo": Access(_key_info, recorded=("AccessKeyId",)),
    "DecodeAuthorizationMessage": Access(_decode),
    "AssumeRole": Access(
        _assume_role,
        recorded=(*_SESSION, "ExternalId", "Tags", "TransitiveTagKeys", "SerialNumber"),
        answered=_MADE,
        leave=frozenset({"Policy"}),
    ),
    "AssumeRoleWithWebIdentity": Access(
        _web_identity,
        recorded=(*_SESSION, "ProviderId"),
        answered=(*_MADE, "SubjectFromWebIdentityToken", "Provider", "Audience"),
        unsigned=True,
    ),
    "GetSessionToken": Access(_session_token, recorded=("DurationSeconds", "SerialNumber")),
    "GetFederationToken": Access(
        _federation_token,
        recorded=("Name", "DurationSeconds", "PolicyArns", "Policy", "Tags"),
        answered=("FederatedUser", "PackedPolicySize"),
    ),
}
