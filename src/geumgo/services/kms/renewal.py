"""What the room keeps under the root keys, and how it comes under the newest of them."""

from collections.abc import Mapping
from typing import Any, Final

from geumgo.renewal import Mark, Renewal, vouched
from geumgo.sealing import Sealing, Unsealable
from geumgo.services.kms import store
from geumgo.services.kms.sealed import sealed_anew
from geumgo.storage import Tx


def _material(tx: Tx, sealing: Sealing, row: Mapping[str, Any]) -> Mapping[str, bytes]:
    """The material is the same, so whatever was encrypted with the key still opens."""
    key = store.find(tx, sealing, row["region"], row["key_id"])
    if key is None:
        raise Unsealable("it belongs to no key")
    return {"sealed": sealed_anew(sealing, key, row["version"], row["material_id"], row["public"], row["sealed"])}


RENEWALS: Final[tuple[Renewal, ...]] = (
    vouched("kms_key", ("region", "id"), store.KEY),
    Renewal(
        "kms_material",
        ("region", "key_id", "version"),
        (Mark("sealed", "kms"),),
        ("material_id", "public"),
        _material,
    ),
    vouched("kms_alias", ("account", "region", "name"), store.ALIAS),
    vouched("kms_grant", ("id",), store.GRANT),
)
