"""What the room keeps under the root keys, and how it comes under the newest of them."""

from collections.abc import Mapping
from typing import Any, Final

from geumgo.renewal import MAC, Mark, Renewal, vouched
from geumgo.sealing import Sealing, Unsealable
from geumgo.services.ssm import store, store_automation, values
from geumgo.storage import Tx


def _version(tx: Tx, sealing: Sealing, row: Mapping[str, Any]) -> Mapping[str, bytes]:
    """A SecureString is sealed by KMS, and stays as it is; that we vouch for it is written anew."""
    parameter = store.find_by_id(tx, sealing, row["parameter_id"])
    if parameter is None:
        raise Unsealable("it belongs to no parameter")
    version = store.as_version(sealing, parameter, (*(row[name] for name in store.VERSION), row["mac"]))
    renewed = values.sealed_anew(sealing, parameter, version)
    return {"sealed": renewed.sealed, "mac": store.vouch_version(sealing, parameter, renewed)}


RENEWALS: Final[tuple[Renewal, ...]] = (
    vouched("ssm_parameter", ("id",), store.PARAMETER),
    Renewal(
        "ssm_parameter_version",
        ("parameter_id", "number"),
        (MAC, Mark("sealed", values.PURPOSE)),
        store.VERSION,
        _version,
    ),
    vouched("ssm_setting", ("account", "region", "id"), store.SETTING),
    vouched("ssm_automation", ("id",), store_automation.VOUCHED),
)
