"""What the room keeps under the root keys, and how it comes under the newest of them."""

from collections.abc import Mapping
from typing import Any, Final

from geumgo.renewal import Mark, Renewal, vouched
from geumgo.sealing import Sealing
from geumgo.services.cloudtrail import copies, signing_keys, store_trails
from geumgo.services.cloudtrail.records import SigningKey
from geumgo.storage import Tx

_KEY: Final = ("fingerprint", "public_key", "sealed", "valid_from_ms", "valid_until_ms")


def _copy(_tx: Tx, sealing: Sealing, row: Mapping[str, Any]) -> Mapping[str, bytes]:
    return {"copy": copies.vouched_anew(sealing, row["copy"])}


def _signing_key(_tx: Tx, sealing: Sealing, row: Mapping[str, Any]) -> Mapping[str, bytes]:
    return {"sealed": signing_keys.sealed_anew(sealing, SigningKey(*(row[name] for name in _KEY)))}


RENEWALS: Final[tuple[Renewal, ...]] = (
    vouched("cloudtrail_trail", ("account", "region", "name"), store_trails.COLUMNS),
    Renewal("cloudtrail_signing_key", ("fingerprint",), (Mark("sealed", signing_keys.PURPOSE),), _KEY, _signing_key),
    Renewal("cloudtrail_record", ("event",), (Mark("copy"),), (), _copy),
)
