"""Tokens of OpenID Connect providers: verified with pinned keys, without asking the network.

Source: AssumeRoleWithWebIdentity, API reference; OpenID Connect Core 1.0 section 3.1.3.7; the sentences as the CLI reports them.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from geumgo.context import Context
from geumgo.principals import ProviderFacts
from geumgo.services.sts import domain
from geumgo.services.sts.errors import InvalidIdentityToken, WebTokenExpired

ALGORITHMS: Final = ("RS256", "RS384", "RS512", "ES256", "ES384", "ES512")
LONGEST_ISSUER: Final = 255  # characters. Source: CreateOpenIDConnectProvider, botocore model
EARLY_S: Final = 300  # seconds by which a provider's clock may be ahead of ours
NO_JWT: Final = "The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)"
NO_KEY: Final = (
    "Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity "
    "documentation for requirements"
)


@dataclass(frozen=True, slots=True)
class WebToken:
    """A token that was verified. `audience` is the one that the provider here is registered with."""

    provider_arn: str
    issuer: str
    subject: str
    audience: str
    keys: Mapping[str, tuple[str, ...]]  # condition keys: "<issuer>:aud", "<issuer>:sub" ...


def verified(ctx: Context, token: str, account: str) -> WebToken:
    """What `token` says, after signature, issuer, audience and times were found right for a provider of `account`.

    Raises InvalidIdentityToken, WebTokenExpired.
    """
    unread = domain.unread_claims(token)
    issuer_url = unread.get("iss") if unread is not None else None
    if not isinstance(issuer_url, str) or len(issuer_url) > LONGEST_ISSUER or not issuer_url.isprintable():
        raise InvalidIdentityToken(NO_JWT)
    issuer = issuer_url.removeprefix("https://").rstrip("/")
    provider = ctx.principals.provider(ctx.tx, account, issuer) if issuer_url.startswith("https://") else None
    if provider is None:
        raise InvalidIdentityToken(f"No OpenIDConnect provider found in your account for {issuer_url}")
    claims = _signed_claims(provider, token)
    _check_times(claims, ctx.clock.now_ms() // 1000)
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise InvalidIdentityToken("Missing a required claim: sub")
    return WebToken(
        provider_arn=provider.arn,
        issuer=issuer,
        subject=subject,
        audience=_audience(provider, claims),
        keys=_condition_keys(issuer, claims),
    )


def _signed_claims(provider: ProviderFacts, token: str) -> Mapping[str, Any]:
    """The claims, once the signature holds under one of the provider's pinned keys. Unverified: the sentence about a wrong one."""
    if provider.jwks is None:
        raise InvalidIdentityToken(NO_KEY)
    # Loaded when the first token comes: most servers never see one, and all would wait for it at their start.
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import KeySet

    try:
        keys = KeySet.import_key_set(json.loads(provider.jwks))
        return dict(jwt.decode(token, keys, algorithms=list(ALGORITHMS)).claims)
    except (JoseError, ValueError, RecursionError, TypeError):
        raise InvalidIdentityToken("The signature of the identity token could not be verified.") from None


def _check_times(claims: Mapping[str, Any], now_s: int) -> None:
    expires = _number(claims, "exp")
    if expires is None:
        raise InvalidIdentityToken("Missing a required claim: exp")
    if now_s >= expires:
        raise WebTokenExpired(
            f"Token expired: current date/time {now_s} must be before the expiration date/time {int(expires)}"
        )
    for name in ("nbf", "iat"):
        begins = _number(claims, name)
        if begins is not None and begins > now_s + EARLY_S:
            raise InvalidIdentityToken(f"The identity token is not valid yet: {name} lies in the future.")


def _number(claims: Mapping[str, Any], name: str) -> float | None:
    """A time (Unix seconds) among the claims. Raises InvalidIdentityToken for one that is no number."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidIdentityToken(NO_JWT)
    return value


def _audience(provider: ProviderFacts, claims: Mapping[str, Any]) -> str:
    """The audience (or authorized party) that is registered with the provider."""
    for audience in (*_texts(claims.get("azp")), *_texts(claims.get("aud"))):
        if audience in provider.audiences:
            return audience
    raise InvalidIdentityToken("Incorrect token audience")


def _condition_keys(issuer: str, claims: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    """The keys that a trust policy may look at. Source: "Available keys for AWS OIDC federation", IAM User Guide."""
    found = {name: _texts(claims.get(name)) for name in ("aud", "sub", "azp", "amr", "email")}
    return {f"{issuer}:{name}": values for name, values in found.items() if values}


def _texts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return (value,)
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
