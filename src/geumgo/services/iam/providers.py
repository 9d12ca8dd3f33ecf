"""OpenID Connect providers, whose tokens AssumeRoleWithWebIdentity takes.

The server never fetches a provider's keys: they are pinned. A tag `geumgo:jwks` on the provider holds its JSON Web Key Set, in parts
where it is longer than a tag may be (`geumgo:jwks:1`, `geumgo:jwks:2` ...), base64url without padding; or the operator gives the file
to `pin_jwks`. Without pinned keys no token of the provider is accepted.
"""

from dataclasses import replace
from typing import Final

from geumgo.context import Context, Params, as_datetime
from geumgo.room import operation, reads
from geumgo.sealing import Sealing
from geumgo.services.iam import domain, jwks
from geumgo.services.iam.errors import EntityAlreadyExists, InvalidInput, LimitExceeded, NoSuchEntity, ValidationError
from geumgo.services.iam.lookup import merged_tags, new_tags, page_of_tags, refuse_beyond, show_tags
from geumgo.services.iam.records import Provider
from geumgo.services.iam.store import providers as store
from geumgo.storage import Tx

CLIENT_IDS_LIMIT: Final = 100
THUMBPRINTS_LIMIT: Final = 5


@operation
def create_open_id_connect_provider(ctx: Context, params: Params) -> Params:
    """Source of the sentences: recorded on AWS."""
    url = params["Url"]
    issuer = _issuer(url)
    if store.find(ctx.tx, ctx.sealing, ctx.place.account, issuer) is not None:
        raise EntityAlreadyExists(f"Provider with url {url} already exists.")
    known = len(store.of_account(ctx.tx, ctx.sealing, ctx.place.account))
    refuse_beyond("OpenIdConnectProvidersPerAccount", known, domain.PROVIDERS_QUOTA)
    audiences = tuple(dict.fromkeys(params.get("ClientIDList", [])))
    if len(audiences) > CLIENT_IDS_LIMIT:
        raise LimitExceeded(f"Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {CLIENT_IDS_LIMIT}")
    provider = Provider(
        account=ctx.place.account,
        issuer=issuer,
        audiences=audiences,
        thumbprints=_thumbprints(params),
        tags={},
        jwks=None,
        created_at_ms=ctx.clock.now_ms(),
    )
    provider = _tagged(provider, merged_tags({}, new_tags(params)))
    store.save(ctx.tx, ctx.sealing, provider)
    tags = {"Tags": show_tags(provider.tags)} if provider.tags else {}
    return {"OpenIDConnectProviderArn": provider.arn(ctx.place.partition), **tags}


@reads
def get_open_id_connect_provider(ctx: Context, params: Params) -> Params:
    provider = _need(ctx, params)
    return {
        "Url": provider.issuer,
        "ClientIDList": list(provider.audiences),
        "ThumbprintList": list(provider.thumbprints),
        "CreateDate": as_datetime(provider.created_at_ms),
        "Tags": show_tags(provider.tags),
    }


@reads
def list_open_id_connect_providers(ctx: Context, params: Params) -> Params:  # noqa: ARG001
    found = store.of_account(ctx.tx, ctx.sealing, ctx.place.account)
    return {"OpenIDConnectProviderList": [{"Arn": provider.arn(ctx.place.partition)} for provider in found]}


@operation
def delete_open_id_connect_provider(ctx: Context, params: Params) -> Params:
    """Source of the sentence: recorded on AWS; it is another one than GetOpenIDConnectProvider's."""
    arn = params["OpenIDConnectProviderArn"]
    provider = _find(ctx, arn)
    if provider is None:
        raise NoSuchEntity(f"OpenId connect Provider {arn} cannot be found.")
    store.delete(ctx.tx, provider.account, provider.issuer)
    return {}


@operation
def update_open_id_connect_provider_thumbprint(ctx: Context, params: Params) -> Params:
    store.save(ctx.tx, ctx.sealing, replace(_need(ctx, params), thumbprints=_thumbprints(params)))
    return {}


@operation
def add_client_id_to_open_id_connect_provider(ctx: Context, params: Params) -> Params:
    """The client id is among the audiences; so it may have been before. Source: API reference."""
    provider = _need(ctx, params)
    if params["ClientID"] not in provider.audiences:
        refuse_beyond("ClientIdsPerOpenIdConnectProvider", len(provider.audiences), CLIENT_IDS_LIMIT)
        store.save(ctx.tx, ctx.sealing, replace(provider, audiences=(*provider.audiences, params["ClientID"])))
    return {}


@operation
def remove_client_id_from_open_id_connect_provider(ctx: Context, params: Params) -> Params:
    provider = _need(ctx, params)
    left = tuple(audience for audience in provider.audiences if audience != params["ClientID"])
    store.save(ctx.tx, ctx.sealing, replace(provider, audiences=left))
    return {}


@operation
def tag_open_id_connect_provider(ctx: Context, params: Params) -> Params:
    provider = _need(ctx, params)
    store.save(ctx.tx, ctx.sealing, _tagged(provider, merged_tags(provider.tags, new_tags(params))))
    return {}


@operation
def untag_open_id_connect_provider(ctx: Context, params: Params) -> Params:
    provider = _need(ctx, params)
    store.save(ctx.tx, ctx.sealing, _tagged(provider, domain.without_tags(provider.tags, params["TagKeys"])))
    return {}


@reads
def list_open_id_connect_provider_tags(ctx: Context, params: Params) -> Params:
    return page_of_tags(params, _need(ctx, params).tags)


def pin_jwks(tx: Tx, sealing: Sealing, account: str, url: str, key_set: str) -> None:
    """The provider's tokens are checked with `key_set` (the text of its JWKS) from now on: the operator's way, past the tags.

    Raises:
        LookupError: the account has no provider of that URL.
        ValueError: `key_set` is no set of public signing keys.
    """
    provider = store.find(tx, sealing, account, domain.issuer_of(url))
    if provider is None:
        raise LookupError(url)
    store.save(tx, sealing, replace(provider, jwks=jwks.checked(key_set)))


def _tagged(provider: Provider, tags: dict[str, str]) -> Provider:
    """The provider with new tags, and with the key set that they pin, if they do. Raises InvalidInput for a set that is none."""
    try:
        pinned = jwks.from_tags(tags)
    except ValueError as fault:
        raise InvalidInput(f"The tags geumgo:jwks do not hold a JSON Web Key Set: {fault}.") from None
    before = jwks.from_tags(provider.tags)
    return replace(provider, tags=tags, jwks=pinned if pinned != before else provider.jwks)


def _issuer(url: str) -> str:
    """The URL without its scheme. Raises ValidationError unless it is https, without user, query or fragment.

    Source: CreateOpenIDConnectProvider, API reference; the sentence recorded on AWS.
    """
    issuer = domain.issuer_of(url)
    if not url.startswith("https://") or not domain.may_be_issuer(issuer):
        raise ValidationError("Invalid Open ID Connect Provider URL")
    return issuer


def _thumbprints(params: Params) -> tuple[str, ...]:
    given = tuple(params.get("ThumbprintList", []))
    if len(given) > THUMBPRINTS_LIMIT:
        raise InvalidInput(f"Thumbprint list must contain fewer than {THUMBPRINTS_LIMIT} entries.")
    return given


def _find(ctx: Context, arn: str) -> Provider | None:
    parts = arn.split(":", 5)
    if len(parts) != 6 or parts[4] != ctx.place.account or not parts[5].startswith("oidc-provider/"):
        return None
    issuer = parts[5].removeprefix("oidc-provider/")
    provider = store.find(ctx.tx, ctx.sealing, ctx.place.account, issuer) if domain.may_be_issuer(issuer) else None
    return provider if provider is not None and provider.arn(ctx.place.partition) == arn else None


def _need(ctx: Context, params: Params) -> Provider:
    arn = params["OpenIDConnectProviderArn"]
    provider = _find(ctx, arn)
    if provider is None:
        raise NoSuchEntity(f"OpenIDConnect Provider not found for arn {arn}")
    return provider
