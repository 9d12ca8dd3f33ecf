"""What the room keeps under the root keys, and how it comes under the newest of them."""

from collections.abc import Mapping
from typing import Any, Final

from geumgo.renewal import MAC, Renewal, vouch_anew, vouched
from geumgo.sealing import Sealing, Unsealable
from geumgo.services.secretsmanager import store, store_external, store_rotation
from geumgo.storage import Tx


def _version(tx: Tx, sealing: Sealing, row: Mapping[str, Any]) -> Mapping[str, bytes]:
    """The value is sealed under a data key of KMS, which stays; only that we vouch for it is written anew."""
    secret = store.find_by_id(tx, sealing, row["secret_id"])
    if secret is None:
        raise Unsealable("it belongs to no secret")
    cells = store.vouched_version(secret.arn, row["version_id"], row["kind"], row["ciphertext"], row["created_at_ms"])
    return {"mac": vouch_anew(sealing, "secret_version", cells, row["mac"])}


RENEWALS: Final[tuple[Renewal, ...]] = (
    vouched("secret", ("id",), store.COLUMNS),
    Renewal(
        "secret_version",
        ("secret_id", "version_id"),
        (MAC,),
        ("kind", "ciphertext", "created_at_ms"),
        _version,
    ),
    vouched("secret_external", ("secret_id",), store_external.COLUMNS),
    vouched("secret_rotation", ("secret_id",), store_rotation.COLUMNS),
)
