"""What digest files are signed with: an RSA key for a year at a time, sealed under the root key, its public half shown for ever."""

from typing import Final

from geumgo import paging
from geumgo.context import Context, Params, as_datetime
from geumgo.room import reads
from geumgo.sealing import Plaintext, Sealing, rsa_signing
from geumgo.services.cloudtrail import store_deliveries
from geumgo.services.cloudtrail.errors import InvalidTimeRange, InvalidToken
from geumgo.services.cloudtrail.records import SigningKey
from geumgo.storage import Storage

VALID_MS: Final = 365 * 86_400_000
PURPOSE: Final = "cloudtrail"


@reads
def list_public_keys(ctx: Context, request: Params) -> Params:
    """The keys that were valid in a time range; without one, those that are valid now.

    Source: ListPublicKeysRequest, botocore model 2013-11-01. A row that was not written by us fails the call.
    """
    try:
        paging.read_token(ctx, "cloudtrail", "ListPublicKeys", {}, request.get("NextToken"))
    except paging.NotOurs:
        raise InvalidToken from None
    now_ms = ctx.clock.now_ms()
    from_ms, until_ms = (
        int(request[name].timestamp() * 1000) if name in request else now_ms for name in ("StartTime", "EndTime")
    )
    if from_ms > until_ms:
        raise InvalidTimeRange
    found = store_deliveries.keys(ctx.tx, from_ms, until_ms)
    for key in found:
        private_of(ctx.sealing, key)
    return {
        "PublicKeyList": [
            {
                "Value": key.public,
                "ValidityStartTime": as_datetime(key.valid_from_ms),
                "ValidityEndTime": as_datetime(key.valid_until_ms),
                "Fingerprint": key.fingerprint,
            }
            for key in found
        ]
    }


def current_key(storage: Storage, sealing: Sealing, now_ms: int) -> SigningKey:
    """The key to sign with now; a new one, if none is valid. No transaction may be open."""
    with storage.reading() as tx:
        valid = store_deliveries.keys(tx, now_ms, now_ms)
    if valid:
        return valid[-1]
    pair = rsa_signing.new_pair()
    made = SigningKey(rsa_signing.fingerprint(pair.public), pair.public, b"", now_ms, now_ms + VALID_MS)
    sealed = sealing.wrap(PURPOSE, _bound_to(made), pair.private)
    made = SigningKey(made.fingerprint, made.public, sealed, made.valid_from_ms, made.valid_until_ms)
    with storage.writing() as tx:
        valid = store_deliveries.keys(tx, now_ms, now_ms)
        if valid:
            return valid[-1]
        store_deliveries.add_key(tx, made)
    return made


def private_of(sealing: Sealing, key: SigningKey) -> Plaintext:
    """The private half. Raises Unsealable if any part of the row is not what we wrote."""
    return sealing.unwrap(PURPOSE, _bound_to(key), key.sealed)


def sealed_anew(sealing: Sealing, key: SigningKey) -> bytes:
    """The private half under the newest root key. Raises Unsealable."""
    return sealing.wrap(PURPOSE, _bound_to(key), private_of(sealing, key))


def _bound_to(key: SigningKey) -> dict[str, str]:
    return {
        "fingerprint": key.fingerprint,
        "public": key.public.hex(),
        "from": str(key.valid_from_ms),
        "until": str(key.valid_until_ms),
    }
