"""Grant tokens: a name of a grant that we vouch for.

Nothing is stored; grants hold from the start, with or without their token.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode

from geumgo.context import Context, Params
from geumgo.sealing import Unsealable, random
from geumgo.services.kms import store
from geumgo.services.kms.errors import InvalidGrantToken
from geumgo.services.kms.records import Grant


def make_token(ctx: Context, grant: Grant) -> str:
    """A token that names the grant. Every token differs; it is vouched for, not stored."""
    named = {"grant": grant.id, "region": grant.region, "once": random.uuid()}
    mac = ctx.sealing.vouch("kms_grant_token", named)
    return urlsafe_b64encode(json.dumps([named, mac.hex()]).encode()).decode()


def read_token(ctx: Context, token: str) -> Grant:
    """The grant that a token names. Raises InvalidGrantToken if we did not make the token, or the grant is gone."""
    try:
        named, mac = json.loads(urlsafe_b64decode(token.encode("ascii")))
        ctx.sealing.check("kms_grant_token", dict(named), bytes.fromhex(mac))
        grant_id, region = str(named["grant"]), str(named["region"])
    except (ValueError, TypeError, KeyError, AttributeError, Unsealable, RecursionError):
        raise InvalidGrantToken from None
    grant = store.find_grant(ctx.tx, ctx.sealing, grant_id)
    if grant is None or grant.region != region or region != ctx.place.region:
        raise InvalidGrantToken
    return grant


def refuse_tokens(ctx: Context, params: Params) -> None:
    """Raises InvalidGrantToken unless every grant token of the request is good."""
    for token in params.get("GrantTokens", []):
        read_token(ctx, token)
